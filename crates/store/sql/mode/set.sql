-- purpose: switch a failure mode
-- params: $1 mode, $2 seed, $3 percent, $4 delay in ms, $5 endpoint or null
-- locks: row exclusive
-- index: failure_mode_pkey
insert into posthaste.failure_mode (mode, seed, percent, delay_ms, endpoint)
values ($1, $2, $3, $4, $5)
on conflict (singleton) do update
set mode = excluded.mode, seed = excluded.seed, percent = excluded.percent, delay_ms = excluded.delay_ms,
    endpoint = excluded.endpoint, set_at = posthaste.now()
