-- purpose: what a proposal for an index must know of its table
-- params: $1 the schema, $2 the table
-- locks: none: nothing is opened
-- index: pg_class by name, pg_index and pg_attribute by the table
select
  c.oid::bigint as oid,
  c.relkind::text as kind,
  c.relpages::bigint as pages,
  greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))::float8 as tuples,
  coalesce(pg_stat_get_tuples_inserted(c.oid), 0) + coalesce(pg_stat_get_tuples_updated(c.oid), 0)
    + coalesce(pg_stat_get_tuples_deleted(c.oid), 0) as writes,
  exists (select from pg_locks as l where l.relation = c.oid and l.mode = 'AccessExclusiveLock') as is_locked,
  (
    select coalesce(jsonb_object_agg(a.attname::text, format_type(a.atttypid, null)), '{}')
    from pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ) as types,
  (
    select coalesce(jsonb_agg(jsonb_build_object(
      'method', m.amname,
      'is_whole', i.indpred is null and i.indexprs is null,
      'classes', (
        select jsonb_agg(o.opcname::text order by k.place)
        from unnest(string_to_array(i.indclass::text, ' ')::oid[]) with ordinality as k (class, place)
        join pg_opclass as o on o.oid = k.class
      ),
      'columns', (
        select jsonb_agg(a.attname::text order by k.place)
        from unnest(string_to_array(i.indkey::text, ' ')::smallint[]) with ordinality as k (number, place)
        left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
      )
    )), '[]')
    from pg_index as i
    join pg_class as x on x.oid = i.indexrelid
    join pg_am as m on m.oid = x.relam
    where i.indrelid = c.oid and i.indisvalid
  ) as indexes,
  (
    select coalesce(jsonb_agg(o.relname::text), '[]')
    from pg_class as o
    where o.relnamespace = c.relnamespace and starts_with(o.relname::text, left(c.relname::text, 20))
  ) as taken_names,
  (
    select jsonb_build_object('schema', pn.nspname, 'name', pc.relname)
    from pg_inherits as h
    join pg_class as pc on pc.oid = h.inhparent and pc.relkind = 'p'
    join pg_namespace as pn on pn.oid = pc.relnamespace
    where h.inhrelid = c.oid
  ) as parent,
  (
    select coalesce(jsonb_agg(jsonb_build_object('oid', pc.oid::bigint, 'schema', pn.nspname, 'name', pc.relname,
      'kind', pc.relkind::text, 'pages', pc.relpages)), '[]')
    from pg_inherits as h
    join pg_class as pc on pc.oid = h.inhrelid
    join pg_namespace as pn on pn.oid = pc.relnamespace
    where h.inhparent = c.oid and c.relkind = 'p'
  ) as partitions
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2;
