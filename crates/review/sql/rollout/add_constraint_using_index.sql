-- purpose: make an index that is there serve a constraint
-- params: {table}, {constraint} and {index} quoted; {kind} is unique or primary key; {deferrable} as its author wrote it
-- locks: ACCESS EXCLUSIVE on the table, for an instant: the index is there, and NOT NULL is declared
-- index: {index}
alter table {table} add constraint {constraint} {kind} using index {index}{deferrable}
