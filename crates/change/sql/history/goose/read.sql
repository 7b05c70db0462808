-- purpose: what goose applied and took back, in its order; its first row stands for nothing.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select
  version_id::text as version,
  null::text as name,
  null::text as checksum,
  tstamp::timestamptz as applied_at,
  case when is_applied then 'done' else 'undone' end as state
from {table}
where version_id > 0
order by id
