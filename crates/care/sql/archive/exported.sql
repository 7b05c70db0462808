-- purpose: what was written to files of a plan, and what it was.
-- params: $1 the plan.
-- locks: ACCESS SHARE on our own table.
-- index: exported_pkey.
select relation, archive, file, columns, rows, checksum::text as checksum, to_regclass(archive) is not null as is_there
from posthaste_archive.exported
where plan = $1
order by exported_at
