-- purpose: functions that a statement can call, the server's own too, because their volatility decides.
-- params: $1 whether the server's own are wanted.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  n.nspname::text as schema,
  p.proname::text as name,
  (
    select array_agg(format_type(argument, null) order by place)
    from unnest(p.proargtypes) with ordinality as arguments (argument, place)
  ) as arguments,
  case when p.proretset then 'SETOF ' else '' end || format_type(p.prorettype, null) as returns,
  p.provolatile::text as volatility,
  p.prokind::text as kind,
  l.lanname::text as language,
  case when n.nspname <> 'pg_catalog' and l.lanname in ('sql', 'plpgsql') then nullif(p.prosrc, '') end as body
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where n.nspname <> 'information_schema'
  and (n.nspname !~ '^pg_' or ($1::bool and n.nspname = 'pg_catalog'))
  and (
    n.nspname <> 'pg_catalog'
    or not ('{internal,cstring}'::regtype[]::oid[] && (p.proargtypes::oid[] || p.prorettype))
  )
order by n.nspname, p.proname, p.oid
