-- purpose: the smallest and largest value of a key; `{table}` and `{column}` are quoted names
-- params: none
-- locks: ACCESS SHARE on the table, asked for only when nobody holds or wants it for himself
-- index: the key's own: one probe at each end
select min({column})::bigint as lowest, max({column})::bigint as highest from only {table};
