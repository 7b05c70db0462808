-- purpose: ranges that were put off do not matter any more: the step goes back.
-- params: $1 run, $2 place.
-- locks: few rows.
-- index: none; there are few.
delete from posthaste_runner.put_off where run_id = $1 and place = $2
