-- purpose: whether the schema has been made
-- params: none
-- locks: none
-- index: pg_class (relname, relnamespace)
select to_regclass('posthaste.schema_version') is not null
