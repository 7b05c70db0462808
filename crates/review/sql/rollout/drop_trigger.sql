-- purpose: stop calling the function
-- params: {trigger} and {table} quoted
-- locks: ACCESS EXCLUSIVE on the table, for an instant
-- index: none
drop trigger if exists {trigger} on {table}
