-- purpose: how full the leaves of a b-tree are; {schema} is that of pgstattuple
-- params: $1 the index's oid as text
-- locks: ACCESS SHARE on the index, asked for only when nobody holds or wants it for himself
-- index: reads the whole of that one
select
  t.index_size as bytes,
  t.leaf_pages,
  t.deleted_pages,
  case when t.avg_leaf_density = 'NaN' then null else t.avg_leaf_density end as leaf_density
from {schema}.pgstatindex($1::text::oid::regclass) as t;
