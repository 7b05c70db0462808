-- purpose: every foreign key, whether an index serves it, and how busy both sides are
-- params: none
-- locks: none: nothing is opened, sizes are those of pg_class
-- index: pg_constraint and pg_class by oid, pg_class by relname, pg_index by indrelid
select
  k.oid::bigint as oid,
  k.conname::text as name,
  k.conparentid::bigint as parent_oid,
  k.conrelid::bigint as table_oid,
  n.nspname::text as schema,
  t.relname::text as table_name,
  t.relkind::text as table_kind,
  t.reltuples::float8 as tuples,
  t.relpages::bigint as pages,
  coalesce(pg_stat_get_live_tuples(t.oid), 0) as live,
  (
    select jsonb_agg(a.attname::text order by p.place)
    from unnest(k.conkey) with ordinality as p (number, place)
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.number
  ) as columns,
  k.confrelid::bigint as referenced_oid,
  rn.nspname::text as referenced_schema,
  r.relname::text as referenced_table,
  (
    select jsonb_agg(a.attname::text order by p.place)
    from unnest(k.confkey) with ordinality as p (number, place)
    join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = p.number
  ) as referenced_columns,
  coalesce(pg_stat_get_tuples_deleted(r.oid), 0) as referenced_deletes,
  k.confdeltype::text as on_delete,
  served.is_served,
  case
    when served.is_served then '[]'
    else (
      select coalesce(jsonb_agg(o.relname::text), '[]')
      from pg_class as o
      where o.relname >= prefix.begins::name
        and o.relname < prefix.ends::name
        and o.relnamespace = t.relnamespace
    )
  end as taken_names
from pg_constraint as k
join pg_class as t on t.oid = k.conrelid
join pg_namespace as n on n.oid = t.relnamespace
join pg_class as r on r.oid = k.confrelid
join pg_namespace as rn on rn.oid = r.relnamespace
cross join lateral (
  select exists (
    select
    from pg_index as i
    join pg_class as x on x.oid = i.indexrelid
    join pg_am as m on m.oid = x.relam
    where i.indrelid = k.conrelid
      and i.indisvalid and i.indislive
      and (m.amname = 'btree' or (m.amname = 'hash' and cardinality(k.conkey) = 1))
      and i.indnkeyatts >= cardinality(k.conkey)
      -- The key's columns, in any order, must be the head of the index.
      and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
      and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] <@ k.conkey
      -- `where column is not null` leaves out rows that refer to nothing, and only these.
      and (
        i.indpred is null
        or (
          i.indpred::text ~ '^\{NULLTEST :arg \{VAR [^{}]*\} :nulltesttype 1 '
          and substring(i.indpred::text from ':varattno ([0-9]+)')::smallint = any(k.conkey)
        )
      )
  ) as is_served
  -- So that it is computed once, and not wherever it is named.
  offset 0
) as served
-- A range of names, which the index on them serves: the whole of pg_class for each key would take its square.
cross join lateral (
  select
    left(t.relname::text, 20) as begins,
    left(t.relname::text, least(20, length(t.relname::text)) - 1)
      || case
        when ascii(right(left(t.relname::text, 20), 1)) < 126 then chr(ascii(right(left(t.relname::text, 20), 1)) + 1)
        else right(left(t.relname::text, 20), 1) || '~'
      end as ends
) as prefix
where k.contype = 'f'
  and n.nspname not in ('pg_catalog', 'information_schema')
  -- A key that refers to a partitioned table has a shadow for each partition there.
  and not exists (select from pg_constraint as p where p.oid = k.conparentid and p.conrelid = k.conrelid)
order by k.oid
limit 100000;
