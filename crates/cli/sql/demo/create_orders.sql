-- purpose: make the table of the demonstration's own application
-- params: none
-- locks: none that others wait for
-- index: none
create table if not exists demo_orders (id text primary key, amount numeric not null)
