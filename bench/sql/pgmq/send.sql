-- Adds a batch. $1 jsonb[]: the payloads.
select count(*) from pgmq.send_batch('bench', $1::jsonb[])
