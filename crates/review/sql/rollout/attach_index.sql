-- purpose: make a partition's index part of the partitioned one
-- params: {index} and {part} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the parent's index, ACCESS EXCLUSIVE on the partition's, for an instant
-- index: none
alter index {index} attach partition {part}
