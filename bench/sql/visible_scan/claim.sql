-- Claims and deletes a batch in one transaction. $1 int: how many. Primary key order; walks over what is not due.
delete from visible_scan.message
where ctid = any (array(
    select ctid from visible_scan.message where visible_at <= now() order by id
    limit $1::int for update skip locked))
returning id, payload
