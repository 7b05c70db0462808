-- purpose: go on with a sequence where another one is
-- params: {from} quoted, {to} as a literal
-- locks: ROW EXCLUSIVE on the sequence
-- index: none
select setval({to}::regclass, s.last_value, s.is_called) from {from} as s
