-- purpose: the indexes, constraints and NOT NULL columns of each partition, in words that can be compared
-- params: none
-- locks: ACCESS SHARE for a moment on tables with checks, and only where nobody holds or asks for more
-- index: pg_inherits, pg_index, pg_constraint and pg_attribute by the table
with exclusive as materialized (
  select distinct l.relation from pg_locks as l where l.mode = 'AccessExclusiveLock' and l.relation is not null
)
select
  p.partrelid::bigint as parent_oid,
  pn.nspname::text as parent_schema,
  pc.relname::text as parent_name,
  n.nspname::text as schema,
  c.relname::text as name,
  c.oid = p.partdefid as is_default,
  c.oid in (select e.relation from exclusive as e) as is_locked,
  coalesce(
    (
      select jsonb_agg(distinct format(
        '%s%s index on (%s)%s',
        case when i.indisunique then 'unique ' else '' end,
        m.amname,
        (
          select string_agg(
            coalesce(a.attname::text, 'an expression')
              || case when (string_to_array(i.indoption::text, ' ')::integer[])[k.place] & 1 = 1 then ' desc' else '' end,
            ', ' order by k.place
          )
          from unnest(string_to_array(i.indkey::text, ' ')::smallint[]) with ordinality as k (number, place)
          left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
          where k.place <= i.indnkeyatts
        ),
        case when i.indpred is not null then ' with a predicate' else '' end
      ))
      from pg_index as i
      join pg_class as x on x.oid = i.indexrelid
      join pg_am as m on m.oid = x.relam
      where i.indrelid = c.oid and i.indisvalid
    ),
    '[]'
  ) as indexes,
  case
    when c.oid not in (select e.relation from exclusive as e) then coalesce(
      (
        select jsonb_agg(distinct replace(pg_get_constraintdef(k.oid), ' NOT VALID', ''))
        from pg_constraint as k
        where k.conrelid = c.oid and k.contype in ('c', 'f')
      ),
      '[]'
    )
  end as constraints,
  coalesce(
    (
      select jsonb_agg(format('not null on %s', a.attname) order by a.attname)
      from pg_attribute as a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull
    ),
    '[]'
  ) as not_nulls
from pg_partitioned_table as p
join pg_class as pc on pc.oid = p.partrelid
join pg_namespace as pn on pn.oid = pc.relnamespace
join pg_inherits as h on h.inhparent = p.partrelid
join pg_class as c on c.oid = h.inhrelid
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
order by p.partrelid, c.oid
limit 50000;
