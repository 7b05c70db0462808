-- purpose: counts the rows of a query that a rule's author wrote.
-- params: none; `{query}` is put in.
-- locks: ACCESS SHARE on what it reads.
-- index: the author's matter.
select count(*) as rows from ({query}
) as q
