-- purpose: what is worth knowing of a run afterwards.
-- params: none.
-- locks: a new table of ours; nobody else's.
-- index: none.
create table if not exists posthaste_runner.note (
  number bigint generated always as identity primary key,
  run_id bigint not null references posthaste_runner.run (id) on delete cascade,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  step_id text,
  text text not null,
  sessions jsonb not null default '[]'
)
