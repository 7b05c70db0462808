-- purpose: the counters of some statements as they are now.
-- params: $1 ids, as texts; `{schema}` is put in.
-- locks: none.
-- index: none.
select
  (to_jsonb(s) ->> 'queryid') as id, sum(s.calls)::float8 as calls,
  sum(coalesce(to_jsonb(s) ->> 'total_exec_time', to_jsonb(s) ->> 'total_time')::float8) as ms
from {schema}.pg_stat_statements as s
where s.dbid = (select d.oid from pg_database as d where d.datname = current_database())
  and (to_jsonb(s) ->> 'queryid') = any ($1)
group by 1
