-- purpose: give a constraint another name
-- params: {table}, {constraint} and {to} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} rename constraint {constraint} to {to}
