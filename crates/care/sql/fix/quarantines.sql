-- purpose: the tables in which rows were put aside.
-- params: none.
-- locks: none beyond the catalog's.
-- index: pg_class_relname_nsp_index.
select format('%I.%I', n.nspname, c.relname) as name
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'posthaste_quarantine' and c.relkind = 'r'
order by c.relname
