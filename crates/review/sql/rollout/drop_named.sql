-- purpose: take an object away that a step made
-- params: {kind} is a kind of object; {name} quoted, with what it is on
-- locks: those of the kind
-- index: none
drop {kind} {name}
