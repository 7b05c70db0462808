-- purpose: call the function that keeps a column's successor in step
-- params: {trigger}, {table} and {function} quoted
-- locks: SHARE ROW EXCLUSIVE on the table, for an instant
-- index: none
create trigger {trigger} before insert or update on {table} for each row execute function {function}()
