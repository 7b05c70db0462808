-- purpose: what must hold before the first step: a primary that takes writes, and rights for the journal.
-- params: none.
-- locks: none.
-- index: pg_namespace by name.
select
  current_user::text as role,
  current_database()::text as database,
  pg_is_in_recovery() as is_replica,
  current_setting('transaction_read_only') = 'on' as is_read_only,
  (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
  has_database_privilege(current_database(), 'create') as may_create,
  coalesce(
    (select has_schema_privilege(n.oid, 'usage') and has_schema_privilege(n.oid, 'create')
     from pg_namespace as n where n.nspname = 'posthaste_runner'),
    false
  ) as owns_journal
