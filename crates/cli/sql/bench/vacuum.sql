-- purpose: clean up after filling a benchmark's database, as is done for every system that it is compared with
-- params: none
-- locks: share update exclusive on each table in turn
-- index: none, the whole database is meant
vacuum (analyze)
