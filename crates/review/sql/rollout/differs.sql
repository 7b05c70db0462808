-- purpose: whether a column is not what it is set to
-- params: {column} quoted; {expression} as its author wrote it, {cast} to the type of the column
-- locks: none
-- index: none
{column} is distinct from ({expression}){cast}
