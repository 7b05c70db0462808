-- purpose: the one version that golang-migrate keeps, and whether it failed half-way.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select
  version::text as version,
  null::text as name,
  null::text as checksum,
  null::timestamptz as applied_at,
  case when dirty then 'failed' else 'done' end as state
from {table}
