-- purpose: give new rows a default, and leave those that are there
-- params: {table} and {column} quoted, {expression} as its author wrote it
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
alter table {table} alter column {column} set default {expression}
