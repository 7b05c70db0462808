-- purpose: a step that installs the operator classes for patterns
-- params: none
-- locks: none on tables
-- index: none: a step of a plan
create extension if not exists pg_trgm schema public;
