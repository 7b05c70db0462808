-- purpose: change an endpoint
-- params: $1 id, $2 kind, $3 url, $4 settings, $5 whether it is paused, $6 whether it is declared
-- locks: row exclusive
-- index: endpoint_pkey
update posthaste.endpoint
set kind = $2, url = $3, settings = $4, paused = $5, declared = $6
where id = $1
