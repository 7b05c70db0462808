-- purpose: whether a row refers to one that is not there
-- params: {table} and {parent} quoted, {joined} and {no_null} as conditions over child and parent
-- locks: ACCESS SHARE on both tables
-- index: the parent's key; it stops at the first orphan, and the statement timeout bounds it
select exists (
    select from {table} as child
    where {no_null} and not exists (select from {parent} as parent where {joined})
)
