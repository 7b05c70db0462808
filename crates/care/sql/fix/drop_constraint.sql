-- purpose: takes a constraint back that this plan added.
-- params: none; `{table}` and `{name}` are put in.
-- locks: ACCESS EXCLUSIVE on the table, briefly.
-- index: none.
alter table {table} drop constraint if exists {name}
