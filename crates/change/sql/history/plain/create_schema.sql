-- purpose: the schema of our own table, made before the first migration.
-- params: none.
-- locks: none beyond the catalog's.
-- index: none.
create schema if not exists posthaste_change
