-- purpose: how many rows have one value, by the heap or by the index, as the session's settings say.
-- params: none; `{table}`, `{filter}` and `{match}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: the unique one that is asked about, when the session allows it.
select count(*) as rows from {table} as t where {filter} and {match}
