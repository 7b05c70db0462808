-- purpose: a range whose rows somebody holds: to come back to.
-- params: $1 run, $2 place, $3 behind which key or null, $4 up to which.
-- locks: none.
-- index: none.
insert into posthaste_runner.put_off (run_id, place, low, high) values ($1, $2, $3, $4)
