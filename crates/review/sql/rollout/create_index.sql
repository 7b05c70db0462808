-- purpose: build an index while reads and writes go on
-- params: {unique} is the word or empty; {index} and {table} quoted; {definition} from USING on
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none
create {unique}index concurrently {index} on {table} {definition}
