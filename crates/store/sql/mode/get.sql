-- purpose: the failure mode that is switched on
-- params: none
-- locks: none
-- index: failure_mode_pkey
select m.mode, m.seed, m.percent, m.delay_ms, m.endpoint
from posthaste.failure_mode m
where m.singleton
