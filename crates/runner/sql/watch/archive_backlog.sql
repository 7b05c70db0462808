-- purpose: how many WAL segments wait for the archive.
-- params: none.
-- locks: none.
-- index: none; a folder of the server.
select count(*) from pg_ls_archive_statusdir() as f (name, size, modification) where f.name like '%.ready'
