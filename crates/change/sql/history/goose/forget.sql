-- purpose: a migration was taken back.
-- params: {table} the tool's table, {version}.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: none: all of a small table is read.
delete from {table}
where version_id = {version}::bigint
