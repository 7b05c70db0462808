-- purpose: rows are counted from the heap, never through an index that may be broken, and never by what the planner
--   derives from constraints that may not hold; values are written the same way wherever it runs.
-- params: none.
-- locks: none.
-- index: none.
select
  set_config('enable_indexscan', 'off', false),
  set_config('enable_indexonlyscan', 'off', false),
  set_config('enable_bitmapscan', 'off', false),
  set_config('constraint_exclusion', 'off', false),
  set_config('max_parallel_workers_per_gather', '0', false),
  set_config('row_security', 'off', false),
  -- what is grouped stays in memory: GROUPED_ROWS_MAX rows at a time, and one statement at a time.
  set_config('work_mem', '32MB', false),
  set_config('datestyle', 'iso', false)
