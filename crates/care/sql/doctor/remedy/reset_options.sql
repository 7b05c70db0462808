-- purpose: a step that puts settings of a table back to those of the server
-- params: {table} quoted, {options} their names
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
alter table {table} reset ({options});
