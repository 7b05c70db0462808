-- purpose: the server's version as a number, such as 150018.
-- params: none.
-- locks: none.
-- index: none.
select current_setting('server_version_num')::int as server_version_num
