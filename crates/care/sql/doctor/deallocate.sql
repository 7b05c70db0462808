-- purpose: forgets a prepared statement
-- params: none; {name} of the prepared statement
-- locks: none
-- index: none
deallocate {name};
