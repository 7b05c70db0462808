-- purpose: the steps of a new run.
-- params: $1 run, $2 ids, $3 phases, $4 titles, $5 actions, in the plan's order.
-- locks: none.
-- index: none.
insert into posthaste_runner.step (run_id, place, id, phase, title, action)
select $1, wanted.place, wanted.id, wanted.phase, wanted.title, wanted.action
from unnest($2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
  as wanted (id, phase, title, action, place)
