-- Adds one message. $1 text: the payload.
insert into visible_scan.message (payload) values ($1)
