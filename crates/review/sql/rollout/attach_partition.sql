-- purpose: make a table a partition
-- params: {table}, {partition} quoted; {bound} as its author wrote it
-- locks: SHARE UPDATE EXCLUSIVE on the partitioned table, ACCESS EXCLUSIVE on the partition and on the default one, for an instant: validated checks spare the scans
-- index: none
alter table {table} attach partition {partition} {bound}
