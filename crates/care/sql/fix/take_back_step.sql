-- purpose: puts the rows of one step back as they were.
-- params: $1 the plan, $2 the step.
-- locks: ROW EXCLUSIVE on the tables of the step, and the rows that come back.
-- index: kept_row_of_step.
select posthaste_undo.take_back($1, $2) as rows
