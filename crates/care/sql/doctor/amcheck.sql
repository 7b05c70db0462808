-- purpose: whether a b-tree holds every row of its table, in order; {schema} is that of the extension
-- params: $1 the index's oid as text
-- locks: ACCESS SHARE on the index and its table, asked for only when nobody holds or wants one for himself
-- index: reads the whole of that one, and the whole table
select ({schema}.bt_index_check($1::text::oid::regclass, true))::text as verdict;
