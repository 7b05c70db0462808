-- purpose: a migration was taken back.
-- params: {table} the tool's table, {version} its name.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: none: all of a small table is read.
update {table}
set rolled_back_at = clock_timestamp()
where migration_name = {version} and rolled_back_at is null
