-- purpose: take dead letters for a redrive, those that no other redrive has taken
-- params: $1 redrive id, $2 dead letter ids, $3 for each after how many seconds it goes back
-- locks: row locks on dead_letter, skipping what is locked
-- index: dead_letter primary key
with free as materialized (
    select d.id, u.delay_seconds
    from unnest($2::bigint[], $3::integer[]) as u (id, delay_seconds)
    join posthaste.dead_letter d on d.id = u.id
    where d.redrive_id is null
    order by d.id
    for update of d skip locked
)
update posthaste.dead_letter d
set redrive_id = $1, redrive_at = posthaste.now() + make_interval(secs => f.delay_seconds)
from free f
where d.id = f.id
