-- purpose: let one claimer at a time move the cursor of a segment, and plan its statements as they are meant
-- params: $1 the segment's number: queue id * 2 + segment
-- locks: an advisory lock until the transaction ends; held for one claim, a millisecond or so
-- index: none
--
-- A claim is not waited for to reach the disk: one that a crash of the server takes back was settled by nobody,
-- because what settles it is flushed after it, so its messages are claimed again as if its lease had run out.
select
    pg_advisory_xact_lock(7306085, $1), set_config('synchronous_commit', 'off', true), set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_bitmapscan', 'off', true)
