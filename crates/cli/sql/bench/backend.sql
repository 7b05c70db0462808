-- purpose: find the server's processes on this machine
-- params: none
-- locks: none
-- index: none, no table is read
select pg_backend_pid()
