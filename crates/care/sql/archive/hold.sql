-- purpose: nobody changes the rows of a batch, and nobody makes a row that points to them, until it is moved; rows have
--   the same texts on both sides, whatever the role's settings are.
-- params: none; `{from}`, `{condition}` and `{batch}` are put in, the last one by the runner.
-- locks: ROW SHARE on the table, and its rows.
-- index: the key's.
select
  count(*) as held,
  set_config('extra_float_digits', '3', true), set_config('datestyle', 'iso, ymd', true),
  set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
  set_config('timezone', 'utc', true)
from (select from {from} as t where ({condition}) and {batch} for update) as held
