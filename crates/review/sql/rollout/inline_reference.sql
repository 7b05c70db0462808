-- purpose: the body of a foreign key that was written with its column
-- params: {column} quoted; {references} as its author wrote it
-- locks: those of the constraint
-- index: none
foreign key ({column}) {references}
