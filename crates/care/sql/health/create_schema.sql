-- purpose: a place for views that dashboards read.
-- params: `{schema}` is put in.
-- locks: none but on the catalog.
-- index: none.
create schema if not exists {schema}
