-- purpose: the time before which rows are old, as a text that means the same in every zone, and one for columns that
--   know no zone.
-- params: $1 an interval.
-- locks: none.
-- index: none.
select
  to_char((now() - $1::text::interval) at time zone 'utc', 'yyyy-mm-dd hh24:mi:ss.us') || '+00' as zoned,
  to_char(now() - $1::text::interval, 'yyyy-mm-dd hh24:mi:ss.us') as local
