-- purpose: whether anything was ever moved, or written to a file, in this database.
-- params: none.
-- locks: none beyond the catalog's.
-- index: pg_class_relname_nsp_index.
select
  to_regclass('posthaste_archive.moved') is not null as is_moved,
  to_regclass('posthaste_archive.exported') is not null as is_exported
