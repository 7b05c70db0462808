-- purpose: the API key of a hash, if it is good now
-- params: $1 SHA-256 of the key
-- locks: none
-- index: api_key_hash_key
select k.id, k.name, k.scopes, k.rate_per_second, k.created_at, k.expires_at, k.revoked_at
from posthaste.api_key k
where k.hash = $1
    and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > posthaste.now())
