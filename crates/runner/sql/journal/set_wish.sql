-- purpose: what is wished of a run.
-- params: $1 run, $2 wish.
-- locks: one row.
-- index: control_pkey.
insert into posthaste_runner.control (run_id, wish) values ($1, $2)
on conflict (run_id) do update set wish = excluded.wish, changed_at = clock_timestamp(), changed_by = current_user
