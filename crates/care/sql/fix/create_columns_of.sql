-- purpose: a function that says which columns a table has now, so that a row is not read back into others.
-- params: none.
-- locks: none but on the catalog.
-- index: none.
create or replace function posthaste_undo.columns_of(relation regclass) returns text
language sql stable
as $$
  select string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
  from pg_catalog.pg_attribute
  where attrelid = relation and attnum > 0 and not attisdropped
$$
