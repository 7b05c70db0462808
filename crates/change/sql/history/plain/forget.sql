-- purpose: a migration was taken back.
-- params: {table} the tool's table, {version}.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: the table's primary key.
delete from {table}
where version = {version}
