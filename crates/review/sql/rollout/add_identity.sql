-- purpose: number the rows of a table by a column
-- params: {table}, {column} and {sequence} quoted; {kind} is always or by default; {options} of the sequence
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} alter column {column} add generated {kind} as identity (sequence name {sequence} {options})
