-- purpose: make a sequence follow a column
-- params: {sequence}, {table} and {column} quoted
-- locks: SHARE ROW EXCLUSIVE on the sequence
-- index: none
alter sequence {sequence} owned by {table}.{column}
