-- purpose: how old the oldest transaction number of each database and of the oldest tables here is
-- params: none
-- locks: none: nothing is opened
-- index: none: scans of pg_database and pg_class
(
  select
    'database' as kind,
    null::text as schema,
    d.datname::text as name,
    d.datname = current_database() as is_here,
    age(d.datfrozenxid)::bigint as xid_age,
    mxid_age(d.datminmxid)::bigint as multixact_age,
    null::bigint as pages
  from pg_database as d
)
union all
(
  select
    case when c.relkind = 't' then 'toast' else 'table' end,
    n.nspname::text,
    coalesce((select o.relname::text from pg_class as o where o.reltoastrelid = c.oid and c.relkind = 't'), c.relname::text),
    true,
    age(c.relfrozenxid)::bigint,
    mxid_age(c.relminmxid)::bigint,
    c.relpages::bigint
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm', 't') and c.relfrozenxid <> '0'::xid
  order by greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) desc
  limit 20
);
