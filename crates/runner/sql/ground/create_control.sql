-- purpose: what others wish of a run; a table of its own, because the runner holds the run's row for a whole batch.
-- params: none.
-- locks: a new table of ours; nobody else's.
-- index: none.
create table if not exists posthaste_runner.control (
  run_id bigint primary key references posthaste_runner.run (id) on delete cascade,
  wish text not null default 'run',
  speed_percent integer not null default 100,
  batch_ms integer,
  changed_at timestamptz not null default clock_timestamp(),
  changed_by text not null default current_user,
  constraint control_wish_is_known check (wish in ('run', 'pause', 'abort')),
  constraint control_speed_is_a_share check (speed_percent between 1 and 100),
  constraint control_batch_is_positive check (batch_ms > 0)
)
