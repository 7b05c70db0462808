-- purpose: types that somebody made: enums, domains, composites, ranges and base types, without their arrays.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  t.oid,
  n.nspname::text as schema,
  t.typname::text as name,
  t.typtype::text as kind,
  (
    select array_agg(e.enumlabel::text order by e.enumsortorder)
    from pg_enum e
    where e.enumtypid = t.oid
  ) as labels,
  case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end as base,
  t.typnotnull as is_not_null,
  t.typdefault as default_text
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_class c on c.oid = t.typrelid
where t.typtype in ('e', 'd', 'c', 'r', 'b')
  and (t.typtype <> 'c' or c.relkind = 'c')
  and not exists (select from pg_type e where e.typarray = t.oid)
  and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
order by n.nspname, t.typname
