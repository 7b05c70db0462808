-- Deletes what was leased. $1 bigint[]: the ids. Primary key.
delete from lease.message where id = any ($1::bigint[])
