-- purpose: publish an event in the transaction of an application
-- params: $1 the event's type, $2 the payload, $3 the idempotency key
-- locks: the key, until the transaction ends
-- index: event_key_is_unique
select posthaste.publish($1, $2, $3)
