-- purpose: how far the build of an index is.
-- params: $1 the process id that builds it.
-- locks: none.
-- index: none; a row a build.
select
  p.phase,
  case when p.blocks_total > 0 then p.blocks_done when p.tuples_total > 0 then p.tuples_done else p.lockers_done end as done,
  case when p.blocks_total > 0 then p.blocks_total when p.tuples_total > 0 then p.tuples_total else p.lockers_total end as total
from pg_stat_progress_create_index as p
where p.pid = $1
