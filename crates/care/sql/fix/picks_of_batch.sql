-- purpose: part of a statement: the numbers of a batch's rows.
-- params: none; `{found}` and `{batch}` are put in, the last one by the runner.
-- locks: ACCESS SHARE on our own table.
-- index: its key.
array(select w.no from {found} as w where {batch})
