-- purpose: what was there twice cannot be there twice again.
-- params: none; `{name}`, `{table}` and `{columns}` are put in.
-- locks: SHARE UPDATE EXCLUSIVE on the table.
-- index: builds one.
create unique index concurrently if not exists {name} on {table} ({columns})
