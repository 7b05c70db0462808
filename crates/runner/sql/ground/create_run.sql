-- purpose: one row a run, with its plan as text; whoever carries it out owns its epoch.
-- params: none.
-- locks: a new table of ours; nobody else's.
-- index: none.
create table if not exists posthaste_runner.run (
  id bigint generated always as identity primary key,
  title text not null,
  kind text not null,
  plan text not null,
  plan_hash text not null,
  state text not null,
  epoch bigint not null default 1,
  started_by text not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  error text,
  constraint run_state_is_known
    check (state in ('running', 'paused', 'stopped', 'failed', 'aborting', 'aborted', 'done'))
)
