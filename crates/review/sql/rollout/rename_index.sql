-- purpose: give an index another name
-- params: {index} and {to} quoted
-- locks: SHARE UPDATE EXCLUSIVE on the index
-- index: none
alter index {index} rename to {to}
