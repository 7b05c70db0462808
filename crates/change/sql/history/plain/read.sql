-- purpose: what was applied of a plain folder.
-- params: {table} the tool's table.
-- locks: ACCESS SHARE on the tool's table.
-- index: none: all of a small table is read.
select version, name, checksum, applied_at, 'done' as state
from {table}
order by applied_at, version
