-- purpose: move events that still wait to other times, each with the key of its new time
-- params: $1 event ids, $2 due times, $3 keys
-- locks: row locks on waiting (held by the caller) and event
-- index: waiting_event, event primary key, event_key_is_unique
with moved as (
    update posthaste.waiting w
    set due_at = u.due_at
    from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as u (event_id, due_at, key)
    where w.event_id = u.event_id
    returning w.event_id, u.due_at, u.key
)
update posthaste.event e
set due_at = m.due_at,
    expires_at = e.expires_at + (m.due_at - e.due_at),
    -- A stranger may have used our key for an event of their own.
    key = case
        when exists (select from posthaste.event other where other.key = m.key and other.id <> e.id)
            then m.key || ':' || e.id
        else m.key
    end
from moved m
where e.id = m.event_id
returning e.id
