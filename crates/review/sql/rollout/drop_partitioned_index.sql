-- purpose: take an index of a partitioned table away, with those of its partitions
-- params: {index} quoted
-- locks: ACCESS EXCLUSIVE on the table and its partitions, for an instant
-- index: none
drop index if exists {index}
