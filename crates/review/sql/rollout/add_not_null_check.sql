-- purpose: have every new row checked for NULL, without looking at those that are there
-- params: {table}, {constraint} and {column} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} add constraint {constraint} check ({column} is not null) not valid
