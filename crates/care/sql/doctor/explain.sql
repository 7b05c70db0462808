-- purpose: what the planner would do for a statement with parameters, without running it; 16 and newer
-- params: none; {statement} is one SELECT of pg_stat_statements
-- locks: ACCESS SHARE on its tables, asked for only when nobody holds or wants one of them for himself
-- index: none
explain (generic_plan, verbose, format json) {statement};
