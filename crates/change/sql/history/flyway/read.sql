-- purpose: what Flyway applied and took back, in its order.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select
  case when version is null then 'R ' || description else version end as version,
  description as name,
  checksum::text as checksum,
  installed_on::timestamptz as applied_at,
  case
    when not success then 'failed'
    when type like 'UNDO%' then 'undone'
    when type in ('BASELINE', 'SQL_BASELINE') then 'baseline'
    else 'done'
  end as state
from {table}
where type <> 'SCHEMA'
order by installed_rank
