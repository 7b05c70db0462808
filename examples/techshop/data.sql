-- Healthy rows. `techshop.scale` says how many: 1 for 120,000 products and 600,000 rows in all, which is the default.
-- The same scale gives the same rows, whenever and wherever it runs. It needs a superuser: the rows keep the promises of
-- the schema by how they are made, and half of the time would go into looking that up row by row.
set session_replication_role = replica;

create temporary table scale as
select
  (50000 * s)::int as customers,
  (120000 * s)::int as products,
  (130000 * s)::int as orders
from (select coalesce(nullif(current_setting('techshop.scale', true), ''), '1')::numeric as s) as asked;

insert into categories (name, parent_id)
select 'Category ' || i, case when i > 10 then 1 + i % 10 end
from generate_series(1, 60) as i;

insert into customers (email, first_name, last_name, created_at, updated_at)
select
  'customer' || i || '@example.com',
  (array['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Radia', 'Tony', 'Frances'])[1 + i % 8],
  (array['Hopper', 'Dijkstra', 'Liskov', 'Knuth', 'Perlman', 'Hoare', 'Allen'])[1 + i % 7],
  timestamptz '2024-01-01 00:00:00+00' + i * interval '5 minutes',
  timestamptz '2024-01-01 00:00:00+00' + i * interval '5 minutes' + (i % 90) * interval '1 day'
from generate_series(1, (select customers from scale)) as i;

insert into products (name, description, sku, price, stock_quantity, category_id, created_at, updated_at)
select
  case
    when i % 97 = 0 then 'Sleeve for laptop'
    else (array['Laptop', 'Phone', 'Monitor', 'Keyboard', 'Mouse', 'Camera', 'Printer', 'Headset'])[1 + i % 8]
  end
    || ' ' || (array['Pro', 'Air', 'Max', 'Mini', 'Plus'])[1 + i % 5] || ' ' || i,
  'Description of product ' || i || ', with what one needs to know before one buys it.',
  'SKU-' || lpad(i::text, 8, '0'),
  (100 + (i::bigint * 37) % 50000) / 100.0,
  (i * 7) % 500,
  1 + i % 60,
  timestamptz '2024-01-01 00:00:00+00' + i * interval '3 minutes',
  timestamptz '2024-01-01 00:00:00+00' + i * interval '3 minutes' + (i % 120) * interval '1 day'
from generate_series(1, (select products from scale)) as i;

create temporary table basket as
select
  o as order_id,
  1 + ((o::bigint * 31 + k * 7919) % (select products from scale))::int as product_id,
  1 + (o + k) % 3 as quantity
from generate_series(1, (select orders from scale)) as o, generate_series(1, 1 + o % 4) as k;

insert into orders (customer_id, order_date, shipped_at, status, total_amount, created_at)
select
  1 + (o::bigint * 17 % (select customers from scale))::int,
  timestamptz '2025-01-01 00:00:00+00' + o * interval '4 minutes',
  case when o % 5 > 0 then timestamptz '2025-01-03 00:00:00+00' + o * interval '4 minutes' end,
  (array['pending', 'paid', 'shipped', 'delivered', 'delivered'])[1 + o % 5],
  items.total,
  timestamptz '2025-01-01 00:00:00+00' + o * interval '4 minutes'
from generate_series(1, (select orders from scale)) as o
join (
  select basket.order_id, sum(basket.quantity * products.price) as total
  from basket join products on products.id = basket.product_id
  group by basket.order_id
) as items on items.order_id = o
order by o;

insert into order_items (order_id, product_id, quantity, unit_price)
select basket.order_id, basket.product_id, basket.quantity, products.price
from basket join products on products.id = basket.product_id
order by basket.order_id, basket.product_id;

drop table basket, scale;

set session_replication_role = origin;
