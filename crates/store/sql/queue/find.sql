-- purpose: one leased message, for a consumer that knows only its receipt
-- params: $1 transaction id, $2 seq
-- locks: access share on the log
-- index: log (xid, seq)
select coalesce(m.id, m.seq) as id, m.event_id, m.tracked, m.receives
from posthaste.{log} m
where m.xid = $1 and m.seq = $2
