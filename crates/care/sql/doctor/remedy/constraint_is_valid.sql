-- purpose: whether a constraint was validated
-- params: {oid} a number
-- locks: none
-- index: none: a step of a plan
select exists (select from pg_constraint as k where k.oid = {oid} and k.convalidated);
