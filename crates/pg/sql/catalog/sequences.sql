-- purpose: sequences and the columns that own or use them; a last value is read apart.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  c.oid,
  n.nspname::text as schema,
  c.relname::text as name,
  format_type(s.seqtypid, null) as type_name,
  s.seqstart as start,
  s.seqmin as minimum,
  s.seqmax as maximum,
  s.seqincrement as increment,
  s.seqcycle as cycles,
  tn.nspname::text as table_schema,
  t.relname::text as table_name,
  a.attname::text as column
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select d.refobjid as relation, d.refobjsubid as number, 0 as place
  from pg_depend d
  where d.classid = 'pg_class'::regclass
    and d.objid = c.oid
    and d.refclassid = 'pg_class'::regclass
    and d.refobjsubid > 0
    and d.deptype in ('a', 'i')
  union all
  select f.adrelid, f.adnum, 1
  from pg_depend d
  join pg_attrdef f on f.oid = d.objid
  where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
  order by 3, 1, 2
  limit 1
) as used on true
left join pg_class t on t.oid = used.relation
left join pg_namespace tn on tn.oid = t.relnamespace
left join pg_attribute a on a.attrelid = used.relation and a.attnum = used.number
where c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by n.nspname, c.relname
