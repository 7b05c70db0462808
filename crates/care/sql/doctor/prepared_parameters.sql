-- purpose: how many parameters a statement has that this session prepared
-- params: $1 its name
-- locks: none
-- index: none: the session's own list
select cardinality(p.parameter_types)::integer as parameters from pg_prepared_statements as p where p.name = $1;
