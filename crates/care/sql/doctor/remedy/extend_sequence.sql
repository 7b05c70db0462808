-- purpose: a step that gives a sequence the room of its column
-- params: {name} quoted, {maximum} a number
-- locks: SHARE ROW EXCLUSIVE on the sequence
-- index: none: a step of a plan
alter sequence {name} maxvalue {maximum};
