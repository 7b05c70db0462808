-- purpose: the database's clock.
-- params: none.
-- locks: none.
-- index: none.
select clock_timestamp() as now
