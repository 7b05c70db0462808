-- purpose: how many pages a table has.
-- params: $1 table.
-- locks: access share on the table, for a moment; under the session's lock timeout.
-- index: none.
select pg_relation_size($1::oid, 'main') / current_setting('block_size')::int8
