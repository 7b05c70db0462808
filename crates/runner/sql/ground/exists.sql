-- purpose: whether the journal is there, with all of its tables.
-- params: none.
-- locks: none.
-- index: pg_class by name.
select to_regclass('posthaste_runner.holder') is not null
  and to_regclass('posthaste_runner.run') is not null
  and to_regclass('posthaste_runner.step') is not null
  and to_regclass('posthaste_runner.put_off') is not null
  and to_regclass('posthaste_runner.note') is not null
  and to_regclass('posthaste_runner.control') is not null
