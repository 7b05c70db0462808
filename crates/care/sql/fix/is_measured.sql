-- purpose: whether anything was ever measured, and any session ended, in this database.
-- params: none.
-- locks: none beyond the catalog's.
-- index: pg_class_relname_nsp_index.
select
  to_regclass('posthaste_undo.measured') is not null as is_measured,
  to_regclass('posthaste_undo.session_end') is not null as has_session_ends
