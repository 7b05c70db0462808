-- purpose: let one claimer at a time move the cursor of a segment, and plan its statements as they are meant
-- params: $1 the segment's number: queue id * 2 + segment
-- locks: an advisory lock until the transaction ends; held for one claim, a millisecond or so
-- index: none
--
-- The commit is not waited for to reach the disk, so that the next claim can follow at once. The caller waits
-- (node/flush.sql) before it hands messages out: a claim that a crash of the server forgets was nobody's.
select
    pg_advisory_xact_lock(7306085, $1), set_config('synchronous_commit', 'off', true), set_config('jit', 'off', true),
    set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_bitmapscan', 'off', true)
