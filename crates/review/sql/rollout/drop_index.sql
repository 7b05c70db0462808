-- purpose: take an index away while reads and writes go on
-- params: {index} quoted
-- locks: SHARE UPDATE EXCLUSIVE on its table; it waits for the transactions that may use it
-- index: none
drop index concurrently {index}
