-- purpose: make a partition a table of its own while reads and writes go on
-- params: {table} and {partition} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the partitioned table
-- index: none
alter table {table} detach partition {partition} concurrently
