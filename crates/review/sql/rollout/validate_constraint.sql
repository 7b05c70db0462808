-- purpose: check the rows that are there against a constraint
-- params: {table} and {constraint} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table: reads and writes go on; ROW SHARE on a referenced one
-- index: that of the referenced key, for a foreign key
alter table {table} validate constraint {constraint}
