-- purpose: declare an index of a partitioned table, which is not valid until every partition has its own
-- params: {unique} is the word or empty; {index} and {table} quoted; {definition} from USING on
-- locks: SHARE on the partitioned table, for an instant
-- index: none
create {unique}index {index} on only {table} {definition}
