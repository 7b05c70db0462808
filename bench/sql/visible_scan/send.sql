-- Adds a batch. $1 text[]: the payloads.
insert into visible_scan.message (payload) select unnest($1::text[])
