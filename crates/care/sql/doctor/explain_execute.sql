-- purpose: what the planner would do for a prepared statement with unknown parameters, without running it
-- params: none; {name} of the prepared statement, {nulls} for its parameters in brackets, or nothing
-- locks: ACCESS SHARE on its tables, asked for only when nobody holds or wants one of them for himself
-- index: none
explain (verbose, format json) execute {name}{nulls};
