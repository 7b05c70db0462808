-- purpose: an archive whose rows are in a file goes.
-- params: none; `{archive}` is put in.
-- locks: ACCESS EXCLUSIVE on the archive.
-- index: none.
drop table {archive}
