-- purpose: whether a column is there
-- params: {table} and {column} as literals
-- locks: none
-- index: pg_attribute_relid_attnam_index
select exists (select from pg_attribute as a where a.attrelid = to_regclass({table}) and a.attname = {column} and not a.attisdropped)
