-- purpose: wake the nodes
-- params: $1 what for
-- locks: none that rows wait for; commits that notify follow each other, so callers coalesce
-- index: none
select pg_notify('posthaste', $1)
