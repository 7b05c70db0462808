-- purpose: the ways of reading that a measurement is about, for this transaction.
-- params: none.
-- locks: none.
-- index: none.
select
  set_config('enable_seqscan', 'off', true),
  set_config('enable_tidscan', 'on', true),
  set_config('max_parallel_workers_per_gather', '0', true)
