-- purpose: gives the rows of a query as JSON, whatever its columns; {query} is one of the files beside this one
-- params: those of the query
-- locks: those of the query
-- index: those of the query
select row_to_json(answer)::text as answer from (
{query}
) as answer;
