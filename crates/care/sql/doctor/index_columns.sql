-- purpose: the columns of some indexes, by their names
-- params: $1 oids of indexes, as a text of an array
-- locks: none: nothing is opened
-- index: pg_index by indexrelid, pg_attribute by attrelid
select
  i.indexrelid::bigint as oid,
  coalesce(
    (
      select jsonb_agg(a.attname::text order by k.place)
      from unnest(string_to_array(i.indkey::text, ' ')::smallint[]) with ordinality as k (number, place)
      join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
      where k.place <= i.indnkeyatts
    ),
    '[]'
  ) as columns
from pg_index as i
where i.indexrelid = any($1::text::oid[]);
