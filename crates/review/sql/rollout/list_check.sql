-- purpose: what every row of a partition by list satisfies
-- params: {column} quoted; {values} as their author wrote them
-- locks: none
-- index: none
{column} is not null and {column} in ({values})
