-- purpose: takes the view of single numbers back.
-- params: `{schema}` is put in.
-- locks: ACCESS EXCLUSIVE on our own view.
-- index: none.
drop view if exists {schema}.db_health_summary
