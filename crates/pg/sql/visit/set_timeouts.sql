-- purpose: other limits for the statements of a visit that follow.
-- params: $1 lock_timeout, $2 statement_timeout, in milliseconds.
-- locks: none.
-- index: none.
select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)
