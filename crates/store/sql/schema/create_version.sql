-- purpose: make the table that remembers which migrations were applied
-- params: none
-- locks: none that others wait for
-- index: none
create table if not exists posthaste.schema_version (
    version integer primary key,
    name text not null,
    checksum bytea not null,
    applied_at timestamptz not null default now()
)
