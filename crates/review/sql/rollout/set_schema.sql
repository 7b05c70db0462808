-- purpose: move an object to another schema
-- params: {kind} is a kind of object; {name} and {schema} quoted
-- locks: ACCESS EXCLUSIVE, for an instant
-- index: none
alter {kind} {name} set schema {schema}
