-- purpose: when an index was last scanned, on 16 and newer.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select s.indexrelid as oid, s.last_idx_scan as last_scan_at
from pg_stat_all_indexes s
where s.last_idx_scan is not null
