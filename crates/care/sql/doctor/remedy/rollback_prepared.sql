-- purpose: a step that gives up a prepared transaction
-- params: {name} a literal
-- locks: none
-- index: none: a step of a plan
rollback prepared {name};
