-- purpose: build an index anew while reads and writes go on
-- params: {kind} is index or table; {name} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none
reindex {kind} concurrently {name}
