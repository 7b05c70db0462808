-- purpose: triggers, those of constraints too.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  t.tgrelid as relation,
  t.tgname::text as name,
  n.nspname::text as function_schema,
  p.proname::text as function_name,
  t.tgenabled::text as enabled,
  t.tgisinternal as is_internal
from pg_trigger t
join pg_proc p on p.oid = t.tgfoid
join pg_namespace n on n.oid = p.pronamespace
order by t.tgrelid, t.tgname
