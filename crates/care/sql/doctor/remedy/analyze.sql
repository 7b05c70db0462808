-- purpose: a step that reads statistics for the planner
-- params: {table} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
analyze {table};
