-- purpose: whether a database of that name exists.
-- params: $1 the name.
-- locks: none beyond the catalog's.
-- index: pg_database_datname_index.
select exists (select from pg_database where datname = $1) as is_there
