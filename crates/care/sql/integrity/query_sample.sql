-- purpose: a few rows of a query that a rule's author wrote, as texts.
-- params: none; `{query}` is put in.
-- locks: ACCESS SHARE on what it reads.
-- index: the author's matter.
select q::text as shown from ({query}
) as q limit 5
