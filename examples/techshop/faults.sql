-- What went wrong, as it goes wrong: rows that came in while nothing kept the promises of the schema, an index that
-- misses rows, totals that were computed twice. It needs a superuser. `expected.toml` says how many of each.

-- A restore that was stopped in the middle: references are not kept meanwhile.
set session_replication_role = replica;

-- 15 items of orders that are gone.
insert into order_items (order_id, product_id, quantity, unit_price)
select 900000000 + i / 2, 1 + i, 1, 19.99 from generate_series(1, 15) as i;

-- 4 orders of customers that are gone, and 6 of nobody, which is allowed.
update orders set customer_id = 800000000 + id where id in (11, 22, 33, 44);
update orders set customer_id = null where id in (101, 102, 103, 104, 105, 106);

-- 7 products in categories that are gone.
update products set category_id = 7000 + id where id between 201 and 207;

set session_replication_role = origin;

-- An index that was not told of two rows: the constraint looks valid, and two e-mail addresses are there twice.
update pg_index set indisready = false where indexrelid = 'customers_email_key'::regclass;
insert into customers (email, first_name, last_name, created_at, updated_at)
select email, first_name, last_name, created_at + interval '1 hour', updated_at + interval '1 hour'
from customers where id in (7, 42);
update pg_index set indisready = true where indexrelid = 'customers_email_key'::regclass;

-- 3 addresses that differ from another one only by case or blanks, which a unique constraint allows.
insert into customers (email, first_name, last_name) values
  ('Customer51@Example.com', 'Ada', 'Hoare'),
  (' customer52@example.com', 'Ada', 'Allen'),
  ('CUSTOMER53@EXAMPLE.COM', 'Ada', 'Knuth');

-- 3 products with less than nothing in stock.
update products set stock_quantity = -id where id in (301, 302, 303);

-- 66 totals that are not the sum of their items: 50 by much, 3 by exactly one cent, 5 that are missing, 5 of nothing,
-- 3 of less than nothing.
update orders set total_amount = total_amount + 10 + id % 7 where id between 501 and 550;
update orders set total_amount = total_amount + 0.01 where id in (551, 552, 553);
update orders set total_amount = null where id between 561 and 565;
update orders set total_amount = 0 where id between 571 and 575;
update orders set total_amount = -total_amount where id in (581, 582, 583);

-- What a product is of no use without.
update products set price = null where id in (401, 402, 403, 404);
update products set name = null where id in (411, 412, 413);
update products set name = '   ' where id in (421, 422);
update products set sku = null where id in (431, 432);

-- Times that cannot be.
update products set updated_at = created_at - interval '2 days' where id between 441 and 446;
update orders set shipped_at = order_date - interval '1 day' where id in (601, 602, 603, 604, 606);
update orders set order_date = timestamptz '2099-01-01 00:00:00+00', shipped_at = null where id in (621, 622);
