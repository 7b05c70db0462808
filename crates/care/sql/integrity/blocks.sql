-- purpose: how many blocks a table has now; what `pg_class` says is as old as the last VACUUM.
-- params: $1 the table's oid.
-- locks: ACCESS SHARE on the table, as the reads that follow.
-- index: pg_class_oid_index.
select (pg_relation_size($1::oid::regclass) / current_setting('block_size')::bigint)::bigint as blocks
