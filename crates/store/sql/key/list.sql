-- purpose: a page of API keys by name
-- params: $1 the name after which it starts, $2 keys at most
-- locks: none
-- index: api_key_name_key
select k.id, k.name, k.scopes, k.rate_per_second, k.created_at, k.expires_at, k.revoked_at
from posthaste.api_key k
where k.name > $1
order by k.name
limit $2
