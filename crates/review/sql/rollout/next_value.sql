-- purpose: the next number of a sequence, as a default
-- params: {sequence} as a literal
-- locks: none
-- index: none
nextval({sequence})
