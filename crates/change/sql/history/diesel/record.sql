-- purpose: a migration was applied.
-- params: {table} the tool's table, {version}.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: the table's primary key.
insert into {table} (version)
values ({version})
