-- Adds one message and notifies in the same transaction. $1 text: the payload.
with added as (insert into bare.message (payload) values ($1) returning id)
select pg_notify('bench', '') from added
