-- purpose: the old version goes before the new one comes.
-- params: {table} the tool's table.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: none: all of a small table is read.
delete from {table}
