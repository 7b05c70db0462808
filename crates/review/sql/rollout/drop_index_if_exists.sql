-- purpose: take an index away, or what is left of it, while reads and writes go on
-- params: {index} quoted
-- locks: SHARE UPDATE EXCLUSIVE on its table
-- index: none
drop index concurrently if exists {index}
