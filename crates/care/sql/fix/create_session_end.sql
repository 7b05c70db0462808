-- purpose: which sessions a plan has cancelled or ended, and which it left alone, with the reason.
-- params: none.
-- locks: none but on the catalog.
-- index: none.
create table if not exists posthaste_undo.session_end (
  no bigint generated always as identity primary key,
  pid integer not null,
  backend_start timestamptz not null,
  -- cancelled, terminated, gone or refused.
  outcome text not null,
  why text not null,
  role text,
  application text,
  state text,
  query text,
  at timestamptz not null default clock_timestamp()
)
