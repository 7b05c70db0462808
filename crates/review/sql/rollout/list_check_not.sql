-- purpose: what no row of a partition by list satisfies
-- params: {column} quoted; {values} as their author wrote them
-- locks: none
-- index: none
{column} is null or {column} not in ({values})
