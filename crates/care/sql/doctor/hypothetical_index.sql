-- purpose: tells the planner of this session that an index were there; {schema} is that of the extension
-- params: $1 the statement that would create it
-- locks: ACCESS SHARE on the table, asked for only when nobody holds or wants it for himself
-- index: none
select h.indexrelid::bigint as oid, h.indexname::text as name from {schema}.hypopg_create_index($1) as h;
