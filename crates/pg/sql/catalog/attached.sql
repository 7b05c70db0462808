-- purpose: names of rules, policies and extended statistics of each table.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select r.ev_class as relation, 'rule' as kind, r.rulename::text as name
from pg_rewrite r
where r.rulename <> '_RETURN' and r.oid >= 16384
union all
select p.polrelid, 'policy', p.polname::text
from pg_policy p
union all
select s.stxrelid, 'statistics', s.stxname::text
from pg_statistic_ext s
order by 1, 2, 3
