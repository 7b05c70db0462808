-- purpose: the session may only read, whatever it is told later by mistake.
-- params: none.
-- locks: none.
-- index: none.
select set_config('default_transaction_read_only', 'on', false)
