-- purpose: keys of one whole number of two or four bytes that no sequence feeds, the largest tables first
-- params: none
-- locks: none: nothing is opened
-- index: pg_index by indrelid, pg_depend by objid
select
  c.oid::bigint as oid,
  n.nspname::text as schema,
  c.relname::text as table_name,
  a.attname::text as column_name,
  format_type(a.atttypid, null) as type_name,
  c.relkind::text as kind,
  c.relpages::bigint as pages,
  has_column_privilege(c.oid, a.attnum, 'select') as may_read,
  exists (
    select from pg_locks as l where l.relation in (c.oid, i.indexrelid) and l.mode = 'AccessExclusiveLock'
  ) as is_locked
from pg_index as i
join pg_class as c on c.oid = i.indrelid
join pg_namespace as n on n.oid = c.relnamespace
join pg_attribute as a on a.attrelid = c.oid and a.attnum::text = i.indkey::text
where i.indisunique and i.indisvalid and i.indpred is null and i.indnkeyatts = 1 and i.indnatts = 1
  and c.relkind = 'r'
  and a.atttypid in ('int2'::regtype, 'int4'::regtype)
  and c.relpages > 0
  and n.nspname not in ('pg_catalog', 'information_schema')
  -- A column that refers to another table's key cannot run out before that one does.
  and not exists (
    select from pg_constraint as k where k.contype = 'f' and k.conrelid = c.oid and k.conkey = array[a.attnum]
  )
  and not exists (
    select
    from pg_depend as d
    where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = a.attnum
      and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
  )
  and not exists (
    select
    from pg_attrdef as f
    join pg_depend as d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
    join pg_class as q on d.refclassid = 'pg_class'::regclass and q.oid = d.refobjid and q.relkind = 'S'
    where f.adrelid = c.oid and f.adnum = a.attnum
  )
order by c.relpages desc
limit 50;
