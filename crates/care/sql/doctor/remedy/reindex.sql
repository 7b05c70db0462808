-- purpose: a step that builds an index anew beside the old one
-- params: {name} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
reindex index concurrently {name};
