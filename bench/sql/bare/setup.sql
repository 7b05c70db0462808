-- A table with nothing but an id and the payload: the least that SQL can do for a queue.
create schema bare;
create table bare.message (id bigint generated always as identity primary key, payload text not null);
