-- purpose: a step that makes old transaction numbers needless
-- params: {table} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
vacuum (freeze, analyze) {table};
