-- purpose: take the lead, or keep it; nothing when another node has it and its time has not run out
-- params: $1 name, $2 node, $3 seconds
-- locks: a row lock on the lead
-- index: leader primary key
insert into posthaste.leader as l (name, node, expires_at)
values ($1, $2, posthaste.now() + make_interval(secs => $3))
on conflict (name) do update
set node = excluded.node, expires_at = excluded.expires_at
where l.node = excluded.node or l.expires_at <= posthaste.now()
