-- purpose: a migration was applied or taken back.
-- params: {table} the tool's table, {version} or null, {name}, {type}, {script}, {checksum}.
-- locks: ROW EXCLUSIVE on the tool's table.
-- index: the table's primary key.
insert into {table} (
  installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
select coalesce(max(installed_rank), 0) + 1, {version}, {name}, {type}, {script}, {checksum}::int, current_user, 0, true
from {table}
