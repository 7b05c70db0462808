-- purpose: whether this batch has put down exactly what it took away, from all of its tables, and the archive holds it.
-- params: none; `{plan}`, `{tables}`, `{archive}`, `{archive_name}` and `{batch}` are put in, the last one by the runner.
-- locks: ACCESS SHARE on our own table and on the archive.
-- index: moved_in_transaction, and the archive's key.
select
  count(*) = {tables} and bool_and(taken_rows = put_rows and taken_checksum = put_checksum)
  and (select count(*) from {archive} as t where {batch})
    >= coalesce(max(put_rows) filter (where archive = {archive_name}), 0) as is_proven
from posthaste_archive.moved
where transaction_id = txid_current() and plan = {plan}
