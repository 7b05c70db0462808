-- purpose: take a trigger function away
-- params: {function} quoted
-- locks: none
-- index: none
drop function if exists {function}()
