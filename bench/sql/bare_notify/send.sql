-- Adds a batch and notifies in the same transaction. $1 text[]: the payloads.
with added as (insert into bare.message (payload) select unnest($1::text[]) returning id)
select pg_notify('bench', count(*)::text) from added
