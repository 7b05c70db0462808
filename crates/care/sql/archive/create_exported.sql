-- purpose: which rows of an archive were written to which file, and proven to be there.
-- params: none.
-- locks: none but on the catalog.
-- index: one for its key.
create table if not exists posthaste_archive.exported (
  plan text not null,
  relation text not null,
  archive text not null,
  file text not null,
  columns text[] not null,
  rows bigint not null,
  checksum numeric not null,
  exported_at timestamptz not null default clock_timestamp(),
  primary key (plan, relation)
)
