-- Adds a batch. $1 text[]: the payloads.
insert into bare.message (payload) select unnest($1::text[])
