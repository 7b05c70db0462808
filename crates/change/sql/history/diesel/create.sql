-- purpose: Diesel's table, as it makes it.
-- params: {table} the tool's table.
-- locks: none beyond the catalog's.
-- index: none.
create table if not exists {table} (
  version varchar(50) primary key not null,
  run_on timestamp not null default current_timestamp
)
