-- purpose: make a partition a table of its own again
-- params: {table} and {partition} quoted
-- locks: ACCESS EXCLUSIVE on both, for an instant
-- index: none
alter table {table} detach partition {partition}
