-- purpose: a page of endpoints by name, with the secrets that are still good
-- params: $1 the name after which it starts, $2 endpoints at most
-- locks: none
-- index: endpoint_name_key
select
    e.id, e.name, e.kind, e.url, e.settings, e.paused, e.declared, e.breaker, e.created_at,
    coalesce(
        (
            select jsonb_agg(s.value order by s.ordinality)
            from jsonb_array_elements(e.secrets) with ordinality s
            where (s.value ->> 'until') is null or (s.value ->> 'until')::timestamptz > posthaste.now()
        ),
        '[]'
    ) as secrets
from posthaste.endpoint e
where e.name > $1
order by e.name
limit $2
