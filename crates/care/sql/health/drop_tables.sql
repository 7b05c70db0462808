-- purpose: takes the view of tables back.
-- params: `{schema}` is put in.
-- locks: ACCESS EXCLUSIVE on our own view.
-- index: none.
drop view if exists {schema}.tables
