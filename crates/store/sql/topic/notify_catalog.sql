-- purpose: tell all nodes, at commit, that what is declared has changed
-- params: none
-- locks: none
-- index: none
select pg_notify('posthaste', 'catalog')
