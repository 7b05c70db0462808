-- purpose: sqlx' table, as it makes it.
-- params: {table} the tool's table.
-- locks: none beyond the catalog's.
-- index: none.
create table if not exists {table} (
  version bigint primary key,
  description text not null,
  installed_on timestamptz not null default now(),
  success boolean not null,
  checksum bytea not null,
  execution_time bigint not null
)
