-- purpose: a step that builds an index without stopping writes
-- params: {unique} the word or nothing, {name}, {table} and {columns} quoted, {method}, {rest} a clause or nothing
-- locks: SHARE UPDATE EXCLUSIVE on the table
-- index: none: a step of a plan
create{unique} index concurrently {name} on {table} using {method} ({columns}){rest};
