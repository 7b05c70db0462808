-- purpose: goose's first row, which stands for nothing.
-- params: {table} the tool's table.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: none: all of a small table is read.
insert into {table} (version_id, is_applied)
select 0, true
where not exists (select from {table})
