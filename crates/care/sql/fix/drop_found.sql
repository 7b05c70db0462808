-- purpose: the list of rows that were found is not needed any more.
-- params: none; `{found}` is put in.
-- locks: ACCESS EXCLUSIVE on our own table, which nobody else reads.
-- index: none.
drop table if exists {found}
