-- purpose: a step that makes a partition
-- params: {name} and {parent} quoted, {bound} as PostgreSQL writes it
-- locks: SHARE UPDATE EXCLUSIVE on the parent, ACCESS EXCLUSIVE on the default partition, which is read
-- index: none: a step of a plan
create table {name} partition of {parent} {bound};
