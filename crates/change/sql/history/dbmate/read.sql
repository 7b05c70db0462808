-- purpose: versions that were applied.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select
  version::text as version,
  null::text as name,
  null::text as checksum,
  null::timestamptz as applied_at,
  'done' as state
from {table}
order by version
