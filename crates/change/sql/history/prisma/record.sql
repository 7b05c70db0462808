-- purpose: a migration was applied.
-- params: {table} the tool's table, {version} its name, {checksum}.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: the table's primary key.
insert into {table} (id, checksum, started_at, finished_at, migration_name, applied_steps_count)
values (
  gen_random_uuid()::text, {checksum}, clock_timestamp(), clock_timestamp(), {version}, 1)
