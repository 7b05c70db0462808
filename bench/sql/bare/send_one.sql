-- Adds one message. $1 text: the payload.
insert into bare.message (payload) values ($1)
