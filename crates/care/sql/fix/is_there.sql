-- purpose: whether anything was ever kept in this database.
-- params: none.
-- locks: none beyond the catalog's.
-- index: pg_class_relname_nsp_index.
select to_regclass('posthaste_undo.kept_row') is not null as is_there
