-- purpose: nobody changes the rows of a batch, or comes to point to them, until it is over; rows are kept as texts
--   that read back as the same values, whatever the role's settings are.
-- params: none; `{found}`, `{from}`, `{matched}` and `{batch}` are put in, the last one by the runner.
-- locks: ROW SHARE on the table, and its rows.
-- index: the key's.
select
  count(*) as held,
  set_config('extra_float_digits', '3', true), set_config('datestyle', 'iso, ymd', true),
  set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
  set_config('timezone', 'utc', true)
from (
  select from {found} as w join {from} as t on {matched} where {batch} order by w.no for update of t
) as held
