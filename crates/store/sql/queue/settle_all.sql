-- purpose: settle all messages of some leases
-- params: $1 lease ids
-- locks: row locks on the leases
-- index: lease primary key
update posthaste.{lease} l
set closed = true
where l.id = any($1) and not l.closed and l.returned = '{}'
returning l.id
