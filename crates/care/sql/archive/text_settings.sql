-- purpose: values have the same texts whoever reads them.
-- params: none.
-- locks: none.
-- index: none.
select
  set_config('extra_float_digits', '3', true), set_config('datestyle', 'iso, ymd', true),
  set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
  set_config('timezone', 'utc', true)
