-- purpose: the first range that was put off.
-- params: $1 run, $2 place.
-- locks: none.
-- index: none; there are few.
select number, low, high from posthaste_runner.put_off where run_id = $1 and place = $2 order by number limit 1
