-- purpose: fill a materialized view anew while it is read
-- params: {view} quoted
-- locks: EXCLUSIVE on the view: reads go on
-- index: a unique index of the view
refresh materialized view concurrently {view}
