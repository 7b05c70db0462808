-- purpose: give a label of an enum another name
-- params: {name} quoted; {from} and {to} as literals
-- locks: none on tables
-- index: none
alter type {name} rename value {from} to {to}
