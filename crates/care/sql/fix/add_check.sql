-- purpose: a condition that new rows must keep; those that are there are looked at by the next step.
-- params: none; `{table}`, `{name}` and `{condition}` are put in.
-- locks: ACCESS EXCLUSIVE on the table, briefly.
-- index: none.
alter table {table} add constraint {name} check ({condition}) not valid
