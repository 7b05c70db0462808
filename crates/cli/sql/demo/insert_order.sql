-- purpose: write the row that an event is about, as an application does
-- params: $1 the order's id, $2 its amount
-- locks: the new row
-- index: demo_orders_pkey
insert into demo_orders (id, amount) values ($1, $2::float8)
