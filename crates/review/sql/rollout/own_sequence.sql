-- purpose: give a sequence to another column
-- params: {sequence}, {table} and {column} quoted
-- locks: ACCESS EXCLUSIVE on the table and SHARE ROW EXCLUSIVE on the sequence, for an instant
-- index: none
alter sequence {sequence} owned by {table}.{column}
