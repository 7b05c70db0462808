-- purpose: the clause of an ALTER TABLE that adds a constraint
-- params: {constraint} quoted; {body} as its author wrote it; {not_valid} is not valid or empty
-- locks: those of the constraint
-- index: none
add constraint {constraint} {body}{not_valid}
