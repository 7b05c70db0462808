-- purpose: remember an applied migration
-- params: $1 version, $2 name, $3 SHA-256 of its text
-- locks: row exclusive on schema_version
-- index: schema_version primary key
insert into posthaste.schema_version (version, name, checksum) values ($1, $2, $3)
