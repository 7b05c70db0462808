-- purpose: take a constraint away, when it is there
-- params: {table} and {constraint} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant; on the referenced one too, for a foreign key
-- index: none
alter table {table} drop constraint if exists {constraint}
