-- purpose: a batch's proof is found by its transaction.
-- params: none.
-- locks: SHARE on our own table, which is empty when it is made.
-- index: makes one.
create index if not exists moved_in_transaction on posthaste_archive.moved (transaction_id)
