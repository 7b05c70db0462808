-- purpose: a step that removes dead rows and counts anew
-- params: {table} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
vacuum (analyze) {table};
