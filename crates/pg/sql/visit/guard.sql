-- purpose: the limits of a visit's session; compiling a query costs more than catalog queries take.
-- params: $1 lock_timeout, $2 statement_timeout, $3 idle_in_transaction_session_timeout, all in milliseconds.
-- locks: none.
-- index: none.
select
  set_config('lock_timeout', $1, false),
  set_config('statement_timeout', $2, false),
  set_config('idle_in_transaction_session_timeout', $3, false),
  set_config('jit', 'off', false)
