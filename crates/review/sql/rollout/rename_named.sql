-- purpose: give an object another name
-- params: {kind} is a kind of object; {name} and {to} quoted
-- locks: ACCESS EXCLUSIVE, for an instant
-- index: none
alter {kind} {name} rename to {to}
