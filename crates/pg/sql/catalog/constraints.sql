-- purpose: constraints of tables and domains; the text of a check or an exclusion opens its table, others do not.
-- params: $1 tables that would have to be waited for.
-- locks: what a text is made of opens its table: those that anybody holds or awaits ACCESS EXCLUSIVE on are left out.
-- index: the catalogs' own.
select
  con.oid,
  con.conrelid as relation,
  con.contypid as domain,
  con.conname::text as name,
  con.contype::text as kind,
  con.convalidated as is_validated,
  con.conenforced as is_enforced,
  con.condeferrable as is_deferrable,
  con.coninhcount > 0 as is_inherited,
  con.connoinherit as no_inherit,
  con.conkey as columns,
  case
    when con.contype not in ('c', 'x') or con.conrelid <> all ($1::oid[]) then pg_get_constraintdef(con.oid)
  end as definition,
  xn.nspname::text as index_schema,
  x.relname::text as index_name,
  fn.nspname::text as referenced_schema,
  f.relname::text as referenced_name,
  con.confrelid as referenced,
  con.confkey as referenced_columns,
  con.confdeltype::text as on_delete,
  con.confupdtype::text as on_update
from (values (true)) as before_18 (conenforced)
cross join lateral (
  select
    oid, conrelid, contypid, connamespace, conname, contype, convalidated, conenforced, condeferrable, coninhcount,
    connoinherit, conkey, conindid, confrelid, confkey, confdeltype, confupdtype
  from pg_constraint
) as con
join pg_namespace n on n.oid = con.connamespace
left join pg_class x on x.oid = con.conindid and con.contype in ('p', 'u', 'x')
left join pg_namespace xn on xn.oid = x.relnamespace
left join pg_class f on f.oid = con.confrelid
left join pg_namespace fn on fn.oid = f.relnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by con.conrelid, con.contypid, con.conname
