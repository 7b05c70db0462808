-- purpose: a step's rows are found when it is taken back.
-- params: none.
-- locks: SHARE on our own table, which is empty when it is made.
-- index: makes one.
create index if not exists kept_row_of_step on posthaste_undo.kept_row (plan, step, pick)
