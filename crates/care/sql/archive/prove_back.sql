-- purpose: whether this batch has put back exactly what it took from the archive.
-- params: none; `{plan}`, `{from}` and `{condition}` (with the batch) are put in.
-- locks: ACCESS SHARE on our own table and on the archive.
-- index: moved_in_transaction, and the archive's key.
select
  bool_and(taken_rows = put_rows and taken_checksum = put_checksum)
  and not exists (select from {from} as t where {condition}) as is_proven
from posthaste_archive.moved
where transaction_id = txid_current() and plan = {plan}
