-- purpose: columns in order; the expression of a generated one opens its table, a default does not.
-- params: $1 tables that would have to be waited for.
-- locks: what a text is made of opens its table: those that anybody holds or awaits ACCESS EXCLUSIVE on are left out.
-- index: the catalogs' own.
select
  a.attrelid as relation,
  a.attname::text as name,
  a.attnum as number,
  format_type(a.atttypid, a.atttypmod) as type_name,
  a.atttypmod as type_modifier,
  tn.nspname::text as type_schema,
  ty.typname::text as type_own_name,
  a.attnotnull as is_not_null,
  case
    when a.attgenerated = '' then pg_get_expr(d.adbin, 0)
    when a.attrelid <> all ($1::oid[]) then pg_get_expr(d.adbin, d.adrelid)
  end as default_text,
  nullif(a.attgenerated::text, '') as generated,
  nullif(a.attidentity::text, '') as identity,
  case
    when a.attcollation <> ty.typcollation then
      case when cn.nspname = 'pg_catalog' then co.collname::text else cn.nspname || '.' || co.collname end
  end as collation
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_type ty on ty.oid = a.atttypid
join pg_namespace tn on tn.oid = ty.typnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation co on co.oid = a.attcollation
left join pg_namespace cn on cn.oid = co.collnamespace
where a.attnum > 0
  and not a.attisdropped
  and c.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
  and c.relpersistence <> 't'
  and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema'
order by a.attrelid, a.attnum
