-- purpose: whether a prepared transaction has ended
-- params: {name} a literal
-- locks: none
-- index: none: a step of a plan
select not exists (select from pg_prepared_xacts as p where p.gid = {name});
