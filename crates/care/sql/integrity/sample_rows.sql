-- purpose: a few of the rows that break a condition, as texts.
-- params: none; `{shown}`, `{table}`, `{condition}` and `{piece}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none on purpose; the piece is one in which such rows were counted.
select {shown} as shown
from {table} as t
where ({condition}) and {piece}
limit 5
