-- purpose: our own table of applied migrations, for folders that no other tool keeps one for.
-- params: {table} the tool's table.
-- locks: none beyond the catalog's.
-- index: none.
create table if not exists {table} (
  version text primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp(),
  applied_by text not null default session_user
)
