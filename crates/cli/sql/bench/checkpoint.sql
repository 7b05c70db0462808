-- purpose: start a measurement with clean buffers
-- params: none
-- locks: none
-- index: none, no table is read
checkpoint
