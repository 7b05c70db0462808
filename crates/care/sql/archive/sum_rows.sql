-- purpose: how many rows an archive holds, and their checksum.
-- params: none; `{archive}` and `{row}` are put in.
-- locks: ACCESS SHARE on the archive.
-- index: none.
select count(*) as rows, coalesce(sum(hashtextextended({row}::text, 0)::numeric), 0)::text as checksum
from {archive} as t
