-- purpose: settings that what the runner reads and remembers relies on: dates that mean one thing, and plans for the range at hand.
-- params: none.
-- locks: none.
-- index: none.
select
  set_config('datestyle', 'iso', false),
  set_config('intervalstyle', 'postgres', false),
  set_config('bytea_output', 'hex', false),
  set_config('extra_float_digits', '1', false),
  set_config('plan_cache_mode', 'force_custom_plan', false)
