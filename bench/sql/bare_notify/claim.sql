-- Claims and deletes a batch in one transaction. $1 int: how many. Row locks, skipping locked ones; primary key
-- order. By ctid, which spares the second index look-up; a row here is never updated, so its ctid holds.
delete from bare.message
where ctid = any (array(select ctid from bare.message order by id limit $1::int for update skip locked))
returning id, payload
