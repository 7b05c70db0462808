-- purpose: make an API key; no row when there is one of that name
-- params: $1 name, $2 SHA-256 of the key, $3 scopes, $4 requests per second or null, $5 when it expires or null
-- locks: row exclusive
-- index: api_key_name_key
insert into posthaste.api_key as k (name, hash, scopes, rate_per_second, expires_at)
values ($1, $2, $3, $4, $5)
on conflict (name) do nothing
returning k.id, k.name, k.scopes, k.rate_per_second, k.created_at, k.expires_at, k.revoked_at
