-- purpose: texts of a catalog that do not depend on who asks: every name with its schema, times in UTC.
-- params: none.
-- locks: none.
-- index: none.
select
  set_config('search_path', 'pg_catalog', true),
  set_config('timezone', 'UTC', true),
  set_config('datestyle', 'ISO, YMD', true),
  set_config('intervalstyle', 'postgres', true),
  set_config('extra_float_digits', '1', true)
