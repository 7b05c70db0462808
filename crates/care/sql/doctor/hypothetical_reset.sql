-- purpose: forgets every hypothetical index of this session
-- params: none
-- locks: none
-- index: none
select {schema}.hypopg_reset();
