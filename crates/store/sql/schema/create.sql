-- purpose: make the schema
-- params: none
-- locks: none that others wait for
-- index: none
create schema if not exists posthaste
