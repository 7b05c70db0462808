-- purpose: whether an index gives the rows in the order of a key: valid, whole, in one direction, by the columns' own collations.
-- params: $1 table, $2 attribute numbers.
-- locks: none; the catalog alone.
-- index: pg_index by table.
select exists (
  select 1
  from pg_index as i
  join pg_class as c on c.oid = i.indexrelid
  join pg_am as m on m.oid = c.relam
  where i.indrelid = $1
    and m.amname = 'btree'
    and i.indisvalid and i.indisready and i.indpred is null
    and (i.indkey::int2[])[0:cardinality($2::int2[]) - 1] = $2::int2[]
    and not exists (
      select 1
      from generate_series(0, cardinality($2::int2[]) - 1) as at (place)
      join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[at.place]
      join pg_opclass as o on o.oid = i.indclass[at.place]
      where (i.indoption[at.place] & 1) <> (i.indoption[0] & 1)
        or i.indcollation[at.place] <> a.attcollation
        or not o.opcdefault
    )
)
