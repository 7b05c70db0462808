-- purpose: what every row of a partition by range satisfies
-- params: {column} quoted; {from} and {to} as their author wrote them; both parts may be empty
-- locks: none
-- index: none
{column} is not null{from}{to}
