-- purpose: each row that a repair changed, as it was before and after, to the byte: the text of a row depends on no
--   table, and reads back as the same values.
-- params: none.
-- locks: none but on the catalog.
-- index: none.
create table if not exists posthaste_undo.kept_row (
  no bigint generated always as identity primary key,
  plan text not null,
  step text not null,
  -- the number of the row among those that the step had found.
  pick bigint not null,
  -- the table, as sql writes it.
  relation text not null,
  -- its columns with their types, as they were.
  columns text not null,
  -- the names of its key's columns; none when it has no key.
  key_columns text[] not null,
  key text,
  before text not null,
  -- null when the row was deleted.
  after text,
  checksum text not null,
  changed_at timestamptz not null default clock_timestamp(),
  taken_back_at timestamptz
)
