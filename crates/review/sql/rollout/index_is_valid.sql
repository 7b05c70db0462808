-- purpose: whether an index is there and valid
-- params: {index} as a literal of its quoted name
-- locks: none
-- index: that of pg_class by oid
select coalesce((select i.indisvalid from pg_index as i where i.indexrelid = to_regclass({index})), false)
