-- purpose: one row a step; its position moves in the transaction of the batch, so free space is kept on the page.
-- params: none.
-- locks: a new table of ours; nobody else's.
-- index: none.
create table if not exists posthaste_runner.step (
  run_id bigint not null references posthaste_runner.run (id) on delete cascade,
  place integer not null,
  id text not null,
  phase text not null,
  title text not null,
  action text not null,
  state text not null default 'waiting',
  attempts integer not null default 0,
  pass integer not null default 1,
  position text[],
  until text[],
  batch_rows bigint,
  batches bigint not null default 0,
  visited bigint not null default 0,
  rows bigint not null default 0,
  total bigint,
  rows_left bigint,
  worked_ms bigint not null default 0,
  undone integer not null default 0,
  started_at timestamptz,
  finished_at timestamptz,
  error text,
  primary key (run_id, place),
  constraint step_id_is_unique unique (run_id, id),
  constraint step_state_is_known
    check (state in ('waiting', 'running', 'done', 'failed', 'undoing', 'undone', 'kept'))
) with (fillfactor = 50)
