-- purpose: the version that the schema has now.
-- params: {table} the tool's table, {version}, {dirty} whether it is under way.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: the table's primary key.
insert into {table} (version, dirty)
values ({version}::bigint, {dirty})
