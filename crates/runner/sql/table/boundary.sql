-- purpose: template: the key that the next batch ends with, and how many rows it goes over.
-- params: the bounds of {within}, then how many rows at most; {texts}, {names}, {keys}, {descending} are lists of the
--   key's columns, {table} and {alias} the table.
-- locks: access share on the table.
-- index: the one that orders the table by the key; index-only where its pages are all visible.
select {texts}, part."rows of the batch"
from (
  select {names}, count(*) over () as "rows of the batch"
  from (select {keys} from {table} as {alias} where {within} order by {keys} limit {limit}::text::int8) as next_rows
) as part
order by {descending}
limit 1
