-- purpose: replace the secrets of an endpoint
-- params: $1 id, $2 secrets, the newest first
-- locks: row exclusive
-- index: endpoint_pkey
update posthaste.endpoint
set secrets = $2
where id = $1
