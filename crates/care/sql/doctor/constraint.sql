-- purpose: every constraint of user tables, whether it was validated and is enforced, and its text without the names
-- params: none
-- locks: ACCESS SHARE for a moment on tables with checks, and only where nobody holds or asks for more
-- index: pg_constraint and pg_class by oid
with exclusive as materialized (
  select distinct l.relation from pg_locks as l where l.mode = 'AccessExclusiveLock' and l.relation is not null
)
select
  k.oid::bigint as oid,
  k.conname::text as name,
  k.contype::text as kind,
  k.convalidated as is_validated,
  coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) as is_enforced,
  k.conparentid::bigint as parent_oid,
  k.coninhcount > 0 as is_inherited,
  k.conislocal as is_local,
  n.nspname::text as schema,
  c.oid::bigint as table_oid,
  c.relname::text as table_name,
  c.relkind::text as table_kind,
  c.relispartition as is_of_partition,
  c.relpages::bigint as pages,
  c.reltuples::float8 as tuples,
  coalesce(
    (
      select jsonb_agg(a.attname::text order by p.place)
      from unnest(k.conkey) with ordinality as p (number, place)
      join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.number
    ),
    '[]'
  ) as columns,
  c.oid in (select e.relation from exclusive as e) as is_locked,
  -- The text of a check opens its table, and would wait.
  case when c.oid not in (select e.relation from exclusive as e) then pg_get_constraintdef(k.oid) end as definition
from pg_constraint as k
join pg_class as c on c.oid = k.conrelid
join pg_namespace as n on n.oid = c.relnamespace
where k.contype in ('c', 'f', 'n', 'p', 'u')
  and (not k.convalidated or not coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) or c.relispartition)
  and n.nspname not in ('pg_catalog', 'information_schema')
order by k.oid
limit 100000;
