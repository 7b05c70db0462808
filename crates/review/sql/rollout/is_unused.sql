-- purpose: whether nobody read a table for so many days
-- params: {table} is a literal of its quoted name; {days} is a number
-- locks: none
-- index: that of pg_class by oid
select coalesce((select greatest(s.last_seq_scan, s.last_idx_scan) < now() - interval '{days} days' from pg_stat_all_tables as s where s.relid = to_regclass({table})), true)
