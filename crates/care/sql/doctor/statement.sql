-- purpose: what pg_stat_statements counted in this database, the costliest first; `{view}` is its quoted name
-- params: none
-- locks: none on user tables
-- index: none: the extension keeps at most pg_stat_statements.max statements
select
  (s.entry ->> 'queryid')::bigint as query_id,
  (s.entry ->> 'userid')::bigint as role_oid,
  coalesce((s.entry ->> 'toplevel')::boolean, true) as is_top_level,
  s.entry ->> 'query' = '<insufficient privilege>' as is_hidden,
  left(s.entry ->> 'query', 8000) as query,
  (s.entry ->> 'calls')::bigint as calls,
  -- The names changed in 13.
  coalesce(s.entry ->> 'total_exec_time', s.entry ->> 'total_time')::float8 as total_ms,
  coalesce(s.entry ->> 'mean_exec_time', s.entry ->> 'mean_time')::float8 as mean_ms,
  coalesce(s.entry ->> 'max_exec_time', s.entry ->> 'max_time')::float8 as max_ms,
  (s.entry ->> 'rows')::bigint as rows,
  (s.entry ->> 'shared_blks_hit')::bigint as blocks_hit,
  (s.entry ->> 'shared_blks_read')::bigint as blocks_read,
  (s.entry ->> 'temp_blks_written')::bigint as temp_blocks_written,
  -- 17 and newer say since when each statement is counted.
  extract(epoch from now() - (s.entry ->> 'stats_since')::timestamptz)::float8 as since_s
from (
  select to_jsonb(v) as entry
  from {view} as v
  where v.dbid = (select d.oid from pg_database as d where d.datname = current_database())
  -- So that the object is made once for each row, and not once for each of its parts.
  offset 0
) as s
where coalesce(s.entry ->> 'query', '') not like '%row_to_json(answer)%'
order by total_ms desc nulls last
limit 5000;
