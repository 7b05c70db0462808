-- purpose: when the first message that a log still holds was sent, whether it is settled or not
-- params: none
-- locks: access share on the log
-- index: log (xid, seq)
select m.sent_at
from posthaste.{log} m
order by m.xid, m.seq
limit 1
