-- purpose: put a new secret first; the others stay good for a while, and those that ran out go. The time until when
-- params: $1 id, $2 the new secret, $3 seconds for which the others stay good
-- locks: row exclusive
-- index: endpoint_pkey
with deadline as materialized (
    select posthaste.now() + make_interval(secs => $3) as at
)
update posthaste.endpoint e
set secrets = jsonb_build_array(jsonb_build_object('secret', $2::text, 'until', null)) || coalesce(
    (
        select jsonb_agg(
            jsonb_build_object(
                'secret', s.value ->> 'secret',
                'until', least((s.value ->> 'until')::timestamptz, d.at)
            )
            order by s.ordinality
        )
        from jsonb_array_elements(e.secrets) with ordinality s
        where $3 > 0
            and ((s.value ->> 'until') is null or (s.value ->> 'until')::timestamptz > posthaste.now())
    ),
    '[]'
)
from deadline d
where e.id = $1
returning d.at
