-- purpose: a table like the one whose rows are put aside, in which they can be looked at and corrected.
-- params: none; `{quarantine}` and `{table}` are put in.
-- locks: ACCESS SHARE on the table.
-- index: none.
create table if not exists {quarantine} (
  like {table},
  posthaste_plan text not null,
  posthaste_step text not null,
  posthaste_pick bigint not null,
  posthaste_at timestamptz not null default clock_timestamp()
)
