-- Claims and deletes a batch in one transaction. $1 int: how many. Index message_visible_at.
delete from visible.message
where ctid = any (array(
    select ctid from visible.message where visible_at <= now() order by visible_at, id
    limit $1::int for update skip locked))
returning id, payload
