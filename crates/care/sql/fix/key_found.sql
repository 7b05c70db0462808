-- purpose: batches go over the rows that were found by their number.
-- params: none; `{found}` is put in.
-- locks: ACCESS EXCLUSIVE on our own table, which nobody else reads.
-- index: makes one.
alter table {found} add primary key (no)
