-- purpose: settle some messages of some leases
-- params: $1 lease ids, each once; $2 for each the messages, as the text of an int8multirange
-- locks: row locks on the leases
-- index: lease primary key
--
-- A lease that is closed is not among the answers: its messages went elsewhere.
--
-- The commit is not waited for to reach the disk, for whoever settles more of the same lease waits for the row until
-- then. The caller waits (node/flush.sql) before it answers.
update posthaste.{lease} l
set
    settled = l.settled + r.seqs,
    closed = (select sum(upper(x) - lower(x)) from unnest(l.settled + l.returned + r.seqs) x) >= l.size
from (
    select u.id, u.seqs::int8multirange as seqs, set_config('synchronous_commit', 'off', true) as commits
    from unnest($1::bigint[], $2::text[]) as u (id, seqs)
) r
where l.id = r.id and not l.closed and r.commits = 'off'
returning l.id, (l.returned * r.seqs)::text as lost
