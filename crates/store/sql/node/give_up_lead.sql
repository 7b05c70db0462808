-- purpose: give the lead up
-- params: $1 name, $2 node
-- locks: a row lock on the lead
-- index: leader primary key
delete from posthaste.leader where name = $1 and node = $2
