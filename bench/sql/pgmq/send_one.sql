-- Adds one message. $1 jsonb: the payload.
select pgmq.send('bench', $1::jsonb)
