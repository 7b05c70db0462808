-- purpose: a migration was applied.
-- params: {table} the tool's table, {version}, {name}, {checksum} in hex.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: the table's primary key.
insert into {table} (version, description, success, checksum, execution_time)
values ({version}::bigint, {name}, true, decode({checksum}, 'hex'), 0)
