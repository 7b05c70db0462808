-- purpose: settings as a new session of this role would have them.
-- params: $1 their names.
-- locks: none.
-- index: none: it is a function.
select
  name::text as name,
  case
    when reset_val in ('0', '-1') or unit is null then reset_val
    when unit = '8kB' then (reset_val::bigint * 8)::text || 'kB'
    else reset_val || unit
  end as value
from pg_settings
where name = any ($1::text[]) and reset_val is not null
