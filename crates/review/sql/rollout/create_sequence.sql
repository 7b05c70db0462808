-- purpose: a sequence that goes with its column
-- params: {sequence}, {table} and {column} quoted; {type} is the type of the column
-- locks: SHARE ROW EXCLUSIVE on the table, for an instant
-- index: none
create sequence {sequence} as {type} owned by {table}.{column}
