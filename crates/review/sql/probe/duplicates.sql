-- purpose: whether a key occurs more than once
-- params: {table} and {columns} quoted, {no_null} for columns that are not NULL, {condition} of a partial index
-- locks: ACCESS SHARE on the table
-- index: one on the columns if there is one; the statement timeout bounds it
select exists (
    select from {table} where {no_null} and {condition} group by {columns} having count(*) > 1
)
