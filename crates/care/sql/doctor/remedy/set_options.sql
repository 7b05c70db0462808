-- purpose: a step that sets what was reset
-- params: {table} quoted, {options} names and values
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
alter table {table} set ({options});
