-- purpose: make an endpoint; no row when there is one of that name
-- params: $1 name, $2 kind, $3 url, $4 secrets, $5 settings, $6 whether it is declared
-- locks: row exclusive
-- index: endpoint_name_key
insert into posthaste.endpoint (name, kind, url, secrets, settings, declared)
values ($1, $2, $3, $4, $5, $6)
on conflict (name) do nothing
returning id
