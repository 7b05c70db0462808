-- Deletes what was leased. $1 bigint[]: the ids.
select count(*) from pgmq.delete('bench', $1::bigint[])
