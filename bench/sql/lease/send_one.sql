-- Adds one message. $1 text: the payload.
insert into lease.message (payload) values ($1)
