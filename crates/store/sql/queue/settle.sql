-- purpose: settle some messages of some leases
-- params: $1 lease ids, each once; $2 for each the messages, as the text of an int8multirange
-- locks: row locks on the leases
-- index: lease primary key
--
-- A lease that is closed is not among the answers: its messages went elsewhere.
update posthaste.{lease} l
set
    settled = l.settled + r.seqs,
    closed = (select sum(upper(x) - lower(x)) from unnest(l.settled + l.returned + r.seqs) x) >= l.size
from (select u.id, u.seqs::int8multirange as seqs from unnest($1::bigint[], $2::text[]) as u (id, seqs)) r
where l.id = r.id and not l.closed
returning l.id, (l.returned * r.seqs)::text as lost
