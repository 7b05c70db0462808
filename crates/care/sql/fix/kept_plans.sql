-- purpose: which plans have kept rows, and how many of them were taken back.
-- params: none.
-- locks: ACCESS SHARE on our own table.
-- index: none; it is asked by people.
select
  plan, count(distinct step) as steps, count(*) as rows, count(taken_back_at) as taken_back,
  min(changed_at) as first_at, max(changed_at) as last_at
from posthaste_undo.kept_row
group by plan
order by max(no) desc
limit 1000
