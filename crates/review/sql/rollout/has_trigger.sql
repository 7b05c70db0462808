-- purpose: whether a trigger is there
-- params: {table} and {trigger} as literals
-- locks: none
-- index: pg_trigger_tgrelid_tgname_index
select exists (select from pg_trigger as t where t.tgrelid = to_regclass({table}) and t.tgname = {trigger})
