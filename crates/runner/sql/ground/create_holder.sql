-- purpose: who carries out a run at the moment: one row at most.
-- params: none.
-- locks: a new table of ours; nobody else's.
-- index: none.
create table if not exists posthaste_runner.holder (
  is_only boolean primary key default true check (is_only),
  run_id bigint not null,
  keeper_pid integer not null,
  hand_pid integer not null,
  hand_start timestamptz,
  host text not null,
  process_id integer not null,
  since timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp()
)
