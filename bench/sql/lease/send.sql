-- Adds a batch. $1 text[]: the payloads.
insert into lease.message (payload) select unnest($1::text[])
