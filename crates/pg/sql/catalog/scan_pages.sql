-- purpose: reads some pages of a table, to see how long that takes; the caller puts the table's name in.
-- params: $1 the first page's first place, $2 the place behind the last.
-- locks: ACCESS SHARE on the table, for the statement's transaction.
-- index: none: the range of places is read as it lies.
select count(*) as rows
from only {table}
where ctid >= $1::text::tid and ctid < $2::text::tid
