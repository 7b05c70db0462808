-- purpose: a reference that new rows must keep; those that are there are looked at by the next step.
-- params: none; `{table}`, `{name}`, `{columns}`, `{parent}` and `{parent_columns}` are put in.
-- locks: SHARE ROW EXCLUSIVE on both tables, briefly.
-- index: none.
alter table {table} add constraint {name} foreign key ({columns}) references {parent} ({parent_columns}) not valid
