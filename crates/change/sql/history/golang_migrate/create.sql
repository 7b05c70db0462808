-- purpose: golang-migrate's table, as it makes it.
-- params: {table} the tool's table.
-- locks: none beyond the catalog's.
-- index: none.
create table if not exists {table} (version bigint not null primary key, dirty boolean not null)
