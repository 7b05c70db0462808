-- purpose: what no row of a partition by range satisfies
-- params: {column} quoted; {below} and {above} as their author wrote them; both may be empty
-- locks: none
-- index: none
{column} is null{below}{above}
