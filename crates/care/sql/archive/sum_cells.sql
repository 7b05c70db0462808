-- purpose: how many rows were read from a file, and their checksum, each cell read as the type of its column.
-- params: one array of texts for each column; `{arrays}`, `{names}` and `{row}` are put in.
-- locks: none.
-- index: none.
select count(*) as rows, coalesce(sum(hashtextextended({row}::text, 0)::numeric), 0)::text as checksum
from unnest({arrays}) as r ({names})
