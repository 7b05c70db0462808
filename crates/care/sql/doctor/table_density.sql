-- purpose: how much of a table is dead or free, from its pages; {schema} is that of pgstattuple
-- params: $1 the table's oid as text
-- locks: ACCESS SHARE on the table, asked for only when nobody holds or wants it for himself
-- index: none: reads pages that are not all visible, and the free space map
select t.table_len as bytes, t.dead_tuple_len as dead_bytes, t.approx_free_space::bigint as free_bytes
from {schema}.pgstattuple_approx($1::text::oid::regclass) as t;
