-- purpose: whether b-trees hold every row of their tables, in order; {schema} is that of the extension
-- params: $1 the indexes' oids as an array's text
-- locks: ACCESS SHARE on one index and its table after the other, asked for only when nobody holds or wants one for himself
-- index: reads the whole of each, and the whole table
select count(({schema}.bt_index_check(o.oid::regclass, true))::text) as whole
from unnest($1::text::oid[]) as o (oid);
