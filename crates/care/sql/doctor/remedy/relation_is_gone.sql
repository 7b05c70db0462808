-- purpose: whether a relation is gone
-- params: {oid} a number
-- locks: none
-- index: none: a step of a plan
select not exists (select from pg_class as c where c.oid = {oid});
