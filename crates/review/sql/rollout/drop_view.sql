-- purpose: take a view away
-- params: {view} quoted
-- locks: ACCESS EXCLUSIVE on the view
-- index: none
drop view {view}
