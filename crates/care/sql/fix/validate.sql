-- purpose: the rows that are there are looked at, while others read and write.
-- params: none; `{table}` and `{name}` are put in.
-- locks: SHARE UPDATE EXCLUSIVE on the table, and for a reference ROW SHARE on the other one.
-- index: none.
alter table {table} validate constraint {name}
