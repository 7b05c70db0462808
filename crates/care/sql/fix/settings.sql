-- purpose: rows are kept as texts that read back as the same values, and are found from the heap and not through an
--   index that may be what is broken.
-- params: none.
-- locks: none.
-- index: none.
select
  set_config('extra_float_digits', '3', true), set_config('datestyle', 'iso, ymd', true),
  set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
  set_config('timezone', 'utc', true), set_config('enable_indexscan', 'off', true),
  set_config('enable_indexonlyscan', 'off', true), set_config('enable_bitmapscan', 'off', true)
