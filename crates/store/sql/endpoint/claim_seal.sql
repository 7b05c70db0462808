-- purpose: keep the fingerprint of the first key that comes, and answer with the one that is kept
-- params: $1 fingerprint
-- locks: row exclusive
-- index: seal_pkey
insert into posthaste.seal (fingerprint)
values ($1)
on conflict (singleton) do update set fingerprint = posthaste.seal.fingerprint
returning fingerprint
