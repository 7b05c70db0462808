-- purpose: the newest run of a plan that is not over.
-- params: $1 the plan's text.
-- locks: none.
-- index: none; there is a row a run.
select id from posthaste_runner.run where plan = $1 and state not in ('done', 'aborted') order by id desc limit 1
