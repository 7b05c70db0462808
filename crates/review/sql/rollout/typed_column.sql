-- purpose: the clause of an ALTER TABLE that adds a column
-- params: {column} quoted; {type} as its author wrote it; {constraints} that hold at once
-- locks: those of the column
-- index: none
add column {column} {type}{constraints}
