-- purpose: call a sequence otherwise
-- params: {sequence} and {to} quoted
-- locks: ACCESS EXCLUSIVE on the sequence, for an instant
-- index: none
alter sequence {sequence} rename to {to}
