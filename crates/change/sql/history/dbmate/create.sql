-- purpose: dbmate's table, as it makes it.
-- params: {table} the tool's table.
-- locks: none beyond the catalog's.
-- index: none.
create table if not exists {table} (version varchar(128) primary key)
