-- purpose: the size of this database and what it counted: blocks, temporary files, deadlocks
-- params: none
-- locks: none; the size is that of the files and opens no table
-- index: pg_database by name
select
  case
    when has_database_privilege(d.oid, 'connect') or pg_has_role(current_user, 'pg_read_all_stats', 'usage')
    then pg_database_size(d.oid)
  end as bytes,
  (select count(*) from pg_class as c where c.relkind in ('r', 'm', 'p')) as relations,
  s.blks_read as blocks_read,
  s.blks_hit as blocks_hit,
  s.temp_files,
  s.temp_bytes,
  s.deadlocks,
  s.xact_commit as commits,
  s.xact_rollback as rollbacks,
  (to_jsonb(s) ->> 'checksum_failures')::bigint as checksum_failures,
  extract(epoch from now() - (to_jsonb(s) ->> 'checksum_last_failure')::timestamptz)::float8 as checksum_failure_s,
  extract(epoch from now() - s.stats_reset)::float8 as counted_s,
  (select sum(c.relpages)::bigint from pg_class as c where c.relkind in ('r', 'm', 't', 'i')) as pages
from pg_database as d
left join pg_stat_database as s on s.datid = d.oid
where d.datname = current_database();
