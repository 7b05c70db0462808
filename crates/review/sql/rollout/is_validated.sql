-- purpose: whether a constraint holds for every row
-- params: {table} and {constraint} are literals of their quoted and plain names
-- locks: none
-- index: those of pg_constraint by relation and name
select exists (select from pg_constraint as c where c.conrelid = to_regclass({table}) and c.conname = {constraint} and c.convalidated)
