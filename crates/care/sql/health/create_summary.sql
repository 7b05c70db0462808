-- purpose: a view with one row a number, for dashboards that read key and value; numbers are numbers, in the unit that is
--   said, and no text.
-- params: `{schema}` is put in.
-- locks: none beyond the catalog's, when it is read.
-- index: none.
create or replace view {schema}.db_health_summary as
select 'Table Sizes' as section, schema_name, table_name, (heap_bytes + toast_bytes + index_bytes)::numeric as value, 'bytes' as unit
from {schema}.tables
union all
select 'Dead Tuples', schema_name, table_name, dead_rows::numeric, 'rows'
from {schema}.tables
union all
select 'Last Vacuum', schema_name, table_name, round(extract(epoch from now() - vacuumed_at)::numeric), 'seconds ago'
from {schema}.tables
