-- purpose: the planner's statistics, of the columns that this role may read.
-- params: none.
-- locks: ACCESS SHARE on catalogs alone.
-- index: the catalogs' own.
select
  s.schemaname::text as schema,
  s.tablename::text as name,
  s.attname::text as column,
  s.null_frac as null_fraction,
  s.n_distinct as distinct,
  s.avg_width as width_bytes
from pg_stats s
where s.schemaname !~ '^pg_' and s.schemaname <> 'information_schema'
order by s.schemaname, s.tablename, s.inherited desc
