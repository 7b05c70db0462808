-- Purpose: whether a database of that name exists.
-- Parameters: $1 the name.
-- Locks: none beyond the catalog's.
-- Index: pg_database_datname_index.
select exists (select from pg_database where datname = $1) as is_there
