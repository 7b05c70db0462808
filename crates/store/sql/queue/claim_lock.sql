-- purpose: let one claimer at a time move the cursor of a segment, and plan its statements as they are meant
-- params: $1 the segment's number: queue id * 2 + segment
-- locks: an advisory lock until the transaction ends; held for one claim, until its commit is on the disk
-- index: none
--
-- The settings are for sessions through a pooler, which cannot have them from the start. Planned anew each time, as the
-- server would do there, a claim costs three times as much.
--
-- A claim is durable before its messages are handed out. Were it not, a crash of the server could forget it, and
-- its messages would be handed out again while their first consumer still works on them.
select
    pg_advisory_xact_lock(7306085, $1), set_config('plan_cache_mode', 'force_generic_plan', true),
    set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_bitmapscan', 'off', true)
