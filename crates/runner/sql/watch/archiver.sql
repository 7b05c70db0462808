-- purpose: whether WAL is archived, and whether that fails at the moment.
-- params: none.
-- locks: none.
-- index: none; one row.
select
  current_setting('archive_mode') <> 'off' as is_on,
  coalesce(s.last_failed_time > coalesce(s.last_archived_time, '-infinity'), false) as is_failing
from pg_stat_archiver as s
