-- The pages that customers call slow, as the shop asks for them. What begins with `-- page:` names the next one.

-- page: product search
select p.id, p.name, p.price, (select count(*) from order_items as i where i.product_id = p.id) as sold
from products as p
where p.name like '%laptop%'
order by p.name
limit 12;

-- page: category
select p.id, p.name, p.price, (select count(*) from order_items as i where i.product_id = p.id) as sold
from products as p
where p.category_id = 5
order by p.price, p.id
limit 12;

-- page: order
select i.id, p.name, i.quantity, i.unit_price
from order_items as i
join products as p on p.id = i.product_id
where i.order_id = 12345
order by i.id;

-- page: my orders
select o.id, o.order_date, o.status, o.total_amount,
  (select sum(i.quantity) from order_items as i where i.order_id = o.id) as pieces
from orders as o
where o.customer_id = 4711
order by o.order_date desc;

-- page: orders to send
select o.id, o.order_date, o.total_amount, (select count(*) from order_items as i where i.order_id = o.id) as items
from orders as o
where o.status = 'paid'
order by o.order_date
limit 12;
