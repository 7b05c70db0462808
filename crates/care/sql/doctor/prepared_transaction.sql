-- purpose: transactions that were prepared and neither committed nor rolled back
-- params: none
-- locks: none on user tables
-- index: none: the list is in memory
select
  p.gid,
  p.owner::text as role_name,
  p.database::text as database,
  p.database = current_database() as is_here,
  extract(epoch from clock_timestamp() - p.prepared)::float8 as age_s,
  age(p.transaction)::bigint as age_xids,
  (select count(*) from pg_locks as l where l.virtualtransaction = '-1/' || p.transaction::text) as locks
from pg_prepared_xacts as p
order by p.prepared
limit 100;
