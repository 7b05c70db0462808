-- purpose: the place of the journal.
-- params: none.
-- locks: a row of pg_namespace.
-- index: none.
create schema if not exists posthaste_runner
