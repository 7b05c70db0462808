-- purpose: whether an index of that name is there and valid
-- params: {schema} and {name} literals
-- locks: none
-- index: none: a step of a plan
select exists (select from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_namespace as n on n.oid = c.relnamespace where i.indisvalid and n.nspname = {schema} and c.relname = {name});
