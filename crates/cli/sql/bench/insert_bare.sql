-- purpose: add one message to the bare table, in a transaction of its own
-- params: $1 the payload
-- locks: row exclusive on the bare table
-- index: none, no table is read
insert into public.bare_message (payload) values ($1)
