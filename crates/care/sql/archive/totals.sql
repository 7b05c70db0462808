-- purpose: what a plan has moved so far, for each table.
-- params: $1 the plan.
-- locks: ACCESS SHARE on our own table.
-- index: none; a row a batch.
select relation, archive, sum(taken_rows)::bigint as rows, sum(put_rows)::bigint as put, sum(put_checksum)::text as checksum
from posthaste_archive.moved
where plan = $1
group by relation, archive
order by min(no)
