-- purpose: nobody changes an archive while it is written to a file.
-- params: none; `{archive}` is put in.
-- locks: SHARE on the archive.
-- index: none.
lock table {archive} in share mode
