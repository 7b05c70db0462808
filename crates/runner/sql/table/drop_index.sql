-- purpose: template: takes away the invalid leftover of a build.
-- params: {index}.
-- locks: share update exclusive on its table; waits for transactions that could use it.
-- index: none.
drop index concurrently if exists {index}
