-- purpose: triggers that do not fire for ordinary sessions, those of foreign keys too, and settings that stop them
-- params: none
-- locks: none: nothing is opened
-- index: none: a scan of pg_trigger
select
  t.oid::bigint as oid,
  t.tgname::text as name,
  t.tgenabled::text as enabled,
  t.tgisinternal as is_internal,
  n.nspname::text as schema,
  c.relname::text as table_name,
  k.conname::text as constraint_name,
  k.contype::text as constraint_kind,
  rn.nspname::text as constraint_schema,
  rc.relname::text as constraint_table,
  null::text as setting_of
from pg_trigger as t
join pg_class as c on c.oid = t.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
left join pg_constraint as k on k.oid = t.tgconstraint
left join pg_class as rc on rc.oid = k.conrelid
left join pg_namespace as rn on rn.oid = rc.relnamespace
where t.tgenabled in ('D', 'R')
  and n.nspname not in ('pg_catalog', 'information_schema')
union all
select
  0, 'session_replication_role', 'R', false, null, null, null, null, null, null,
  case
    when s.setrole = 0 then 'database ' || coalesce(d.datname::text, '(all)')
    else 'role ' || coalesce(r.rolname::text, s.setrole::text)
  end
from pg_db_role_setting as s
cross join lateral unnest(s.setconfig) as v (entry)
left join pg_database as d on d.oid = s.setdatabase
left join pg_roles as r on r.oid = s.setrole
where v.entry like 'session\_replication\_role=replica'
  and (s.setdatabase = 0 or d.datname = current_database())
limit 10000;
