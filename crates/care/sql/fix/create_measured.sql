-- purpose: what a plan has measured before it began and after it was done.
-- params: none.
-- locks: none but on the catalog.
-- index: none; some rows a plan.
create table if not exists posthaste_undo.measured (
  no bigint generated always as identity primary key,
  plan text not null,
  -- before or after.
  moment text not null,
  -- rows-wrong, table-bytes, index-bytes, statement-calls or statement-ms.
  what text not null,
  -- the step, the table, or the id of the statement.
  name text not null,
  value numeric not null,
  query text,
  at timestamptz not null default clock_timestamp()
)
