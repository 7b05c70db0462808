-- purpose: Flyway's index over what failed.
-- params: {table} the tool's table.
-- locks: SHARE on the tool's table, which is new.
-- index: none.
create index if not exists flyway_schema_history_s_idx on {table} (success)
