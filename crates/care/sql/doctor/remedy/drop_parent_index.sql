-- purpose: a step that drops the index of a partitioned table with those of all partitions
-- params: {name} quoted
-- locks: ACCESS EXCLUSIVE on the table and its partitions, for a moment
-- index: none: a step of a plan
drop index if exists {name};
