-- purpose: who holds a lock that conflicts with one that a step will ask for. An autovacuum gives way to who waits.
-- params: $1 schemas, $2 names, $3 conflicting modes (a row each), $4 sessions of our own.
-- locks: none.
-- index: none; pg_locks is small.
select distinct
  coalesce(l.pid, 0) as pid, a.backend_start, coalesce(a.usename::text, '') as usename,
  coalesce(a.application_name, '') as application_name,
  case when l.pid is null then 'prepared transaction' else coalesce(a.state, '') end as state,
  coalesce(
    (extract(epoch from clock_timestamp() - a.xact_start) * 1000)::int8,
    case when l.pid is null then 86400000 end
  ) as age_ms,
  coalesce(left(a.query, 200), '') as query,
  (l.mode || ' on ' || wanted.schema || '.' || wanted.name)::text as holds
from unnest($1::text[], $2::text[], $3::text[]) as wanted (schema, name, mode)
join pg_namespace as n on n.nspname = wanted.schema
join pg_class as c on c.relnamespace = n.oid and c.relname = wanted.name
join pg_locks as l on l.locktype = 'relation' and l.relation = c.oid and l.granted and l.mode = wanted.mode
  and l.database = (select oid from pg_database where datname = current_database())
left join pg_stat_activity as a on a.pid = l.pid
where l.pid is null or (l.pid <> all ($4::int4[]) and coalesce(a.backend_type, '') <> 'autovacuum worker')
order by age_ms desc nulls last
