-- purpose: builds an index anew from the heap, while others read and write.
-- params: none; `{name}` is put in.
-- locks: SHARE UPDATE EXCLUSIVE on the table.
-- index: builds one.
reindex index concurrently {name}
