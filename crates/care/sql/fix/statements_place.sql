-- purpose: the schema of pg_stat_statements, if it is there.
-- params: none.
-- locks: none.
-- index: pg_extension_name_index.
select quote_ident(n.nspname) as schema
from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'
