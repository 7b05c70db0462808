-- purpose: bytes of a segment's log, and of the other one
-- params: none
-- locks: access share on both logs, for the moment of the call
-- index: none
select pg_relation_size('posthaste.{log}') as bytes, pg_relation_size('posthaste.{other_log}') as other_bytes
