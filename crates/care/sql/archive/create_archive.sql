-- purpose: a table like the one whose rows are moved. References are not copied: what is archived stays as it is.
-- params: none; `{archive}` and `{table}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: copies those of the table.
create table if not exists {archive} (like {table} including all excluding identity excluding statistics)
