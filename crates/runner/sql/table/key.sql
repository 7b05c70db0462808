-- purpose: the columns of a key with their types, in its order.
-- params: $1 table, $2 names.
-- locks: none; the catalog alone.
-- index: pg_attribute by table and name.
select wanted.name, format_type(a.atttypid, -1) as type_name, coalesce(a.attnotnull, false) as is_not_null, a.attnum
from unnest($2::text[]) with ordinality as wanted (name, place)
left join pg_attribute as a on a.attrelid = $1 and a.attname = wanted.name and not a.attisdropped and a.attnum > 0
order by wanted.place
