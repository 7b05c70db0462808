-- purpose: the planner knows how few the rows are that were found.
-- params: none; `{found}` is put in.
-- locks: SHARE UPDATE EXCLUSIVE on our own table.
-- index: none.
analyze {found}
