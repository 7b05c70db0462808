-- purpose: whether a queue holds messages in any state, or dead letters
-- params: $1 queue id
-- locks: access share
-- index: deferred_visible, dead_letter_queue, log (xid, seq), lease primary key
select posthaste.queue_has_messages($1)
