-- purpose: a table with nothing but an id and the payload: the least that SQL can do for a queue
-- params: none
-- locks: none, the table is new
-- index: none, no table is read
create table public.bare_message (id bigint generated always as identity primary key, payload text not null)
