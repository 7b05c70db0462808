-- purpose: makes answers the same everywhere, names ours alone, and keeps other processors out of it
-- params: none
-- locks: none
-- index: none
select
  current_setting('search_path') as search_path,
  set_config('search_path', 'pg_catalog', false),
  set_config('timezone', 'UTC', false),
  set_config('datestyle', 'ISO, MDY', false),
  set_config('max_parallel_workers_per_gather', '0', false),
  set_config('jit', 'off', false);
