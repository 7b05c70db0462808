-- purpose: have every new row checked, without looking at those that are there
-- params: {table} and {constraint} quoted, {expression} as its author wrote it
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} add constraint {constraint} check ({expression}) not valid
