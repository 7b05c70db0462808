-- purpose: end an API key; a key that was revoked before keeps its time
-- params: $1 name
-- locks: row exclusive
-- index: api_key_name_key
update posthaste.api_key k
set revoked_at = coalesce(k.revoked_at, posthaste.now())
where k.name = $1
returning k.id, k.name, k.scopes, k.rate_per_second, k.created_at, k.expires_at, k.revoked_at
