-- purpose: nobody carries out a run any more.
-- params: $1 keeper's process id.
-- locks: the one row.
-- index: holder_pkey.
delete from posthaste_runner.holder where keeper_pid = $1
