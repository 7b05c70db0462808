-- purpose: a batch of a range that was put off is done.
-- params: $1 number, $2 position.
-- locks: one row.
-- index: put_off_pkey.
update posthaste_runner.put_off set low = $2 where number = $1
