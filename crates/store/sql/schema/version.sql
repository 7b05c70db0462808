-- purpose: the newest migration that was applied
-- params: none
-- locks: access share on schema_version
-- index: schema_version primary key
select coalesce(max(version), 0) from posthaste.schema_version
