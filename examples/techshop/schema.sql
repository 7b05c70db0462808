-- TechShop: five tables of a shop that grew faster than anybody looked after it.
-- There is no index but those of keys, as it was found.

create table customers (
  id serial primary key,
  email varchar(255) not null unique,
  first_name varchar(100),
  last_name varchar(100),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table categories (
  id serial primary key,
  name varchar(100) not null unique,
  parent_id integer references categories (id)
);

create table products (
  id serial primary key,
  name varchar(255),
  description text,
  sku varchar(50) unique,
  price numeric(10, 2),
  stock_quantity integer default 0,
  category_id integer references categories (id),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table orders (
  id serial primary key,
  customer_id integer references customers (id),
  order_date timestamptz not null default now(),
  shipped_at timestamptz,
  status varchar(50) not null default 'pending',
  total_amount numeric(10, 2),
  created_at timestamptz not null default now()
);

create table order_items (
  id serial primary key,
  order_id integer not null references orders (id),
  product_id integer not null references products (id),
  quantity integer not null,
  unit_price numeric(10, 2) not null
);
