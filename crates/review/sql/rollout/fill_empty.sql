-- purpose: give the rows of one range of keys that have no value yet one
-- params: {table} and {column} quoted; {expression} as its author wrote it; {batch} is the range
-- locks: ROW EXCLUSIVE on the table, and the rows of the range
-- index: that of the key
update {table} set {column} = {expression} where {batch} and {column} is null
