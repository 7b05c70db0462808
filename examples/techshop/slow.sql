-- How the pages became slow: autovacuum was switched off for an import and never switched on again, and jobs rewrote
-- tables night after night. Nothing is lost or changed by it. The rows are counted once before, as they were on the day of
-- the import, and never again.
analyze;

alter table products set (autovacuum_enabled = false);
alter table orders set (autovacuum_enabled = false);
alter table order_items set (autovacuum_enabled = false);

-- Three nights of the warehouse's import.
update products set stock_quantity = stock_quantity;
update products set stock_quantity = stock_quantity;
update products set stock_quantity = stock_quantity;

-- One of the bookkeeping's.
update orders set status = status where id % 3 = 0;
update order_items set unit_price = unit_price where id % 3 = 0;
