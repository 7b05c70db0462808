-- purpose: what sqlx applied.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select
  version::text as version,
  description as name,
  encode(checksum, 'hex') as checksum,
  installed_on as applied_at,
  case when success then 'done' else 'failed' end as state
from {table}
order by version
