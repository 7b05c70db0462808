-- purpose: runs that are not over.
-- params: none.
-- locks: none.
-- index: none; there is a row a run.
select id, title, state from posthaste_runner.run where state not in ('done', 'aborted') order by id limit 100
