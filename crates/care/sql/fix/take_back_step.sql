-- purpose: puts some rows of one step back as they were, or only looks whether that can be done.
-- params: $1 the plan, $2 the step, $3 the numbers of the rows, $4 whether it only looks.
-- locks: ROW EXCLUSIVE on the tables of the step, and the rows that come back.
-- index: kept_row_of_step.
select posthaste_undo.take_back($1, $2, $3, $4) as rows
