-- purpose: takes an index back that this plan built.
-- params: none; `{name}` is put in.
-- locks: SHARE UPDATE EXCLUSIVE on the table.
-- index: drops one.
drop index concurrently if exists {name}
