-- purpose: append messages to a queue's current log
-- params: $1 attributes (JSON text or null), $2 payloads
-- locks: row exclusive on the log
-- index: log (xid, seq)
insert into posthaste.{log} (sent_at, attributes, payload)
select n.now, m.attributes, m.payload
from (select posthaste.now() as now) n, unnest($1::text[], $2::bytea[]) as m (attributes, payload)
returning seq
