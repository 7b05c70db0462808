-- One of each kind of thing that a catalog has to tell apart.
create schema "Sales";
create type mood as enum ('sad', 'fine', 'it''s');
create domain zip as varchar(9) not null check (value ~ '^\d+$');
create type address as (street text, zip zip);
create type span as range (subtype = float8);
create sequence lonely increment 5 minvalue 10 maxvalue 90 cycle;
create function half(numeric) returns numeric immutable language sql as 'select $1 / 2';
create function touched() returns trigger language plpgsql as 'begin return new; end';
create table customers (id int primary key, name text, check (id > 0));
create table special_customers (since date) inherits (customers);
create index customers_name on customers (name);
create table orders (
  id bigint generated always as identity primary key,
  customer_id int not null,
  gone int,
  total numeric(10, 2) not null default 0,
  with_tax numeric generated always as (total * 1.2) stored,
  mood mood default 'fine',
  zip zip,
  note varchar(40) collate "C",
  made_at timestamptz default now(),
  serial_no serial unique,
  constraint orders_customer_fk foreign key (customer_id) references customers
    on update cascade on delete set null deferrable
) with (fillfactor = 70);
alter table orders drop column gone;
insert into customers select n, 'name ' || n from generate_series(1, 10) n;
insert into orders (customer_id, total, zip, note)
select 1 + n % 10, n, n::text, case when n % 2 = 0 then 'note ' || n end from generate_series(1, 100) n;
alter table orders add constraint orders_note_check check (note <> '') not valid;
create index orders_mixed on orders (customer_id desc, lower(note), (total + 1.5) nulls first, note varchar_pattern_ops)
  include (made_at) where total > 0;
create statistics orders_stats on customer_id, mood from orders;
create rule no_delete as on delete to orders do instead nothing;
alter table orders enable row level security;
create policy mine on orders using (customer_id = 1);
create trigger touch before update of total on orders for each row execute function touched();
alter table orders disable trigger touch;
create view "Sales"."Big Orders" as select id, total from orders where total > 50;
create materialized view by_mood as select mood, count(*) from orders group by mood;
create unlogged table "Sales"."It's ""odd""
name" ("Größe 💥" text);
create table events (id bigint, at timestamptz not null) partition by range (at);
create index on events (at);
create table events_2026 partition of events for values from ('2026-01-01 00:00Z') to ('2027-01-01 00:00Z');
create table events_rest partition of events default;
create table rooms (door int, during tsrange, exclude using gist (during with &&));
create publication everything for all tables;
create publication some_of_it for table customers, orders;
do $$ begin
  if current_setting('server_version_num')::int >= 150000 then
    execute 'create unique index rooms_door on rooms (door) nulls not distinct';
    execute 'create publication sales for tables in schema "Sales"';
  end if;
end $$;
