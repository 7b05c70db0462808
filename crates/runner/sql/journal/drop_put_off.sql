-- purpose: a range that was put off is done.
-- params: $1 number.
-- locks: one row.
-- index: put_off_pkey.
delete from posthaste_runner.put_off where number = $1
