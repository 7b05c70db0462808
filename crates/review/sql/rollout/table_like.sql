-- purpose: make a table that can become a partition of another one at once
-- params: {table} and {of} quoted
-- locks: ACCESS SHARE on the partitioned table, for an instant
-- index: none
create table {table} (like {of} including defaults including constraints including generated including storage{more})
