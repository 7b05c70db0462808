-- purpose: ranges of a key whose rows somebody else held, to come back to.
-- params: none.
-- locks: a new table of ours; nobody else's.
-- index: none.
create table if not exists posthaste_runner.put_off (
  number bigint generated always as identity primary key,
  run_id bigint not null,
  place integer not null,
  low text[],
  high text[],
  foreign key (run_id, place) references posthaste_runner.step (run_id, place) on delete cascade
)
