-- purpose: what was applied by Prisma Migrate; the latest try of a name counts.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select
  migration_name as version,
  null::text as name,
  checksum::text as checksum,
  finished_at as applied_at,
  case when rolled_back_at is not null then 'undone' when finished_at is null then 'failed' else 'done' end as state
from {table}
order by started_at, finished_at nulls last
