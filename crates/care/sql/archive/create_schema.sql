-- purpose: a place for rows that are moved, and for what proves that they were.
-- params: `{name}` is put in.
-- locks: none but on the catalog.
-- index: none.
create schema if not exists {name}
