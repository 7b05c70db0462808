-- Adds one message. $1 text: the payload.
insert into visible.message (payload) values ($1)
