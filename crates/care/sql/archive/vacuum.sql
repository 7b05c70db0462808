-- purpose: gives the space of moved rows back and counts the table anew.
-- params: none; `{table}` is put in.
-- locks: SHARE UPDATE EXCLUSIVE on the table.
-- index: none.
vacuum (analyze) {table}
