-- purpose: the body of a foreign key
-- params: {columns} and {referenced} quoted lists; {table} quoted; {end} is what follows, with its blank
-- locks: those of the constraint
-- index: none
foreign key ({columns}) references {table} ({referenced}){end}
