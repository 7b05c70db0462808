-- purpose: the migrations that were applied, with the checksums of their texts
-- params: none
-- locks: access share on schema_version
-- index: schema_version primary key; there are as many rows as migrations
select v.version, v.name, v.checksum
from posthaste.schema_version v
order by v.version
