-- purpose: reads a statement of pg_stat_statements, so that its plan can be asked for; nothing runs
-- params: none; {name} of the prepared statement, {statement} its text
-- locks: ACCESS SHARE on its tables for a moment
-- index: none
prepare {name} as {statement};
