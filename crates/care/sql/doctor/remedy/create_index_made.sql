-- purpose: a step that builds an index like another one without stopping writes
-- params: {name} and {table} quoted, {made} what PostgreSQL writes after `using`
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
create index concurrently {name} on {table} using {made};
