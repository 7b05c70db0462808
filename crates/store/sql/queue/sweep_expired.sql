-- purpose: leases of a segment that have run out, the longest ago first
-- params: $1 not those that ran out before this time (they were swept), if any; $2 leases at most
-- locks: row locks on the leases, skipping what another sweep holds
-- index: lease (expires_at)
select l.id, l.size
from posthaste.{lease} l
where l.expires_at > coalesce($1, '-infinity'::timestamptz) and l.expires_at <= posthaste.now() and not l.closed
order by l.expires_at
limit $2
for update skip locked
