-- Leases a batch for 30 s. $1 int: how many.
select msg_id, message from pgmq.read('bench', 30, $1::int)
