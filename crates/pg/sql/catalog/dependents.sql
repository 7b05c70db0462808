-- purpose: what reads a table or its columns: views, rules, functions with a parsed body, policies, triggers.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
with depends as (
  select
    d.refobjid as relation,
    d.refobjsubid as number,
    case v.relkind when 'v' then 'view' when 'm' then 'materialized-view' else 'rule' end as kind,
    v.relnamespace as namespace,
    case when v.relkind in ('v', 'm') then v.relname else r.rulename end as name
  from pg_depend d
  join pg_rewrite r on r.oid = d.objid
  join pg_class v on v.oid = r.ev_class
  where d.classid = 'pg_rewrite'::regclass
    and d.refclassid = 'pg_class'::regclass
    and d.deptype = 'n'
    and r.ev_class <> d.refobjid
    and d.refobjid >= 16384
  union all
  select d.refobjid, d.refobjsubid, 'function', p.pronamespace, p.proname
  from pg_depend d
  join pg_proc p on p.oid = d.objid
  where d.classid = 'pg_proc'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'n'
  union all
  select d.refobjid, d.refobjsubid, 'policy', c.relnamespace, p.polname
  from pg_depend d
  join pg_policy p on p.oid = d.objid
  join pg_class c on c.oid = p.polrelid
  where d.classid = 'pg_policy'::regclass
    and d.refclassid = 'pg_class'::regclass
    and (d.refobjsubid > 0 or d.refobjid <> p.polrelid)
  union all
  select d.refobjid, d.refobjsubid, 'trigger', c.relnamespace, t.tgname
  from pg_depend d
  join pg_trigger t on t.oid = d.objid
  join pg_class c on c.oid = t.tgrelid
  where d.classid = 'pg_trigger'::regclass
    and d.refclassid = 'pg_class'::regclass
    and not t.tgisinternal
    and (d.refobjsubid > 0 or d.refobjid <> t.tgrelid)
)
select
  d.relation,
  d.kind,
  n.nspname::text as schema,
  d.name::text as name,
  coalesce(array_agg(distinct a.attname::text) filter (where a.attname is not null), '{}') as columns
from depends d
join pg_namespace n on n.oid = d.namespace
left join pg_attribute a on a.attrelid = d.relation and a.attnum = d.number and d.number > 0
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
group by d.relation, d.kind, n.nspname, d.name
order by d.relation, d.kind, n.nspname, d.name
