-- purpose: take a sequence away
-- params: {sequence} quoted
-- locks: ACCESS EXCLUSIVE on the sequence
-- index: none
drop sequence {sequence}
