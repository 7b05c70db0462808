-- purpose: every sequence with its own end and that of the column that it feeds
-- params: none
-- locks: none: the last values are asked for apart, some at a time
-- index: pg_sequence by seqrelid, pg_depend by refobjid
select
  c.oid::bigint as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  format_type(q.seqtypid, null) as type_name,
  q.seqstart as start_value,
  q.seqincrement as increment,
  q.seqmin as minimum,
  q.seqmax as maximum,
  q.seqcycle as cycles,
  has_sequence_privilege(c.oid, 'select,usage') as may_read,
  u.schema as table_schema,
  u.table_name,
  u.column_name,
  u.column_type
from pg_sequence as q
join pg_class as c on c.oid = q.seqrelid
join pg_namespace as n on n.oid = c.relnamespace
left join lateral (
  select d.schema, d.table_name, d.column_name, d.column_type
  from (
    -- Owned by a column.
    select tn.nspname::text as schema, t.relname::text as table_name, a.attname::text as column_name,
      format_type(a.atttypid, null) as column_type, 1 as preference
    from pg_depend as o
    join pg_class as t on t.oid = o.refobjid
    join pg_namespace as tn on tn.oid = t.relnamespace
    join pg_attribute as a on a.attrelid = o.refobjid and a.attnum = o.refobjsubid
    where o.classid = 'pg_class'::regclass and o.objid = c.oid and o.refclassid = 'pg_class'::regclass
      and o.deptype in ('a', 'i')
    union all
    -- Named by a column's default.
    select tn.nspname::text, t.relname::text, a.attname::text, format_type(a.atttypid, null), 2
    from pg_depend as o
    join pg_attrdef as f on f.oid = o.objid
    join pg_class as t on t.oid = f.adrelid
    join pg_namespace as tn on tn.oid = t.relnamespace
    join pg_attribute as a on a.attrelid = f.adrelid and a.attnum = f.adnum
    where o.classid = 'pg_attrdef'::regclass and o.refclassid = 'pg_class'::regclass and o.refobjid = c.oid
  ) as d
  -- The narrowest column is the first to be full.
  order by case d.column_type when 'smallint' then 1 when 'integer' then 2 else 3 end, d.preference
  limit 1
) as u on true
where n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_temp\_%'
order by c.oid
limit 50000;
