-- purpose: a place for rows as they were before a repair changed them.
-- params: `{name}` is put in.
-- locks: none but on the catalog.
-- index: none.
create schema if not exists {name}
