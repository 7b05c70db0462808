-- purpose: what each batch took away and what it put down: counts and checksums.
-- params: none.
-- locks: none but on the catalog.
-- index: none.
create table if not exists posthaste_archive.moved (
  no bigint generated always as identity primary key,
  plan text not null,
  relation text not null,
  archive text not null,
  transaction_id bigint not null default txid_current(),
  taken_rows bigint not null,
  taken_checksum numeric not null,
  put_rows bigint not null,
  put_checksum numeric not null,
  moved_at timestamptz not null default clock_timestamp()
)
