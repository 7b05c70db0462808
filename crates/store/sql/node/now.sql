-- purpose: the database's clock
-- params: none
-- locks: none
-- index: none
select posthaste.now()
