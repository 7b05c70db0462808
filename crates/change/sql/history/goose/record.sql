-- purpose: a migration was applied.
-- params: {table} the tool's table, {version}.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: none: it is an insert.
insert into {table} (version_id, is_applied)
values ({version}::bigint, true)
