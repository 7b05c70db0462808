-- The same shape, as it should be.
create extension if not exists pg_stat_statements;
create extension if not exists amcheck;
create extension if not exists pgstattuple;
create schema "Sales";
create schema fleet;
create schema "we""ird 🚀";

create table "Sales"."Customer" (id uuid primary key default gen_random_uuid(), email text not null unique, name text not null);
insert into "Sales"."Customer" (email, name) select 'customer' || n || '@example.com', 'Customer ' || n from generate_series(1, 20000) as n;
create index customer_email_like on "Sales"."Customer" (email text_pattern_ops);
create table "Sales"."Order" (
  tenant integer not null, nr integer not null, customer_id uuid not null references "Sales"."Customer" (id) on delete cascade,
  placed_at timestamptz not null, status text not null, primary key (tenant, nr)
);
insert into "Sales"."Order"
select n % 5, n, c.id, timestamptz '2026-01-01' + n * interval '1 minute', (array['new', 'paid', 'sent', 'done'])[n % 4 + 1]
from generate_series(1, 20000) as n
join (select id, row_number() over (order by email) as place from "Sales"."Customer") as c on c.place = n;
create index order_customer on "Sales"."Order" (customer_id);
create index order_placed_status on "Sales"."Order" (placed_at, status);
create index order_placed_status_desc on "Sales"."Order" (placed_at, status desc);
create index order_placed_open on "Sales"."Order" (placed_at) where status = 'new';
create table "Sales"."Order Item" (
  line integer not null, tenant integer not null, order_nr integer not null, sku text not null,
  primary key (tenant, order_nr, line), foreign key (order_nr, tenant) references "Sales"."Order" (nr, tenant)
);
insert into "Sales"."Order Item" select 1, tenant, nr, 'sku' || nr % 100 from "Sales"."Order";
create table fleet.driver (id bigint primary key, name text not null check (length(name) > 3), boss_id bigint references fleet.driver (id));
insert into fleet.driver select n, 'driver ' || n, nullif(n / 10, 0) from generate_series(1, 12000) as n;
create index driver_boss on fleet.driver (boss_id) where boss_id is not null;
create table fleet.vehicle (id serial primary key, plate text not null, model text not null);
insert into fleet.vehicle (plate, model) select 'P' || n, 'model ' || n % 9 from generate_series(1, 3000) as n;
create table fleet.depot (id integer generated always as identity primary key, part_of integer references fleet.depot (id));
insert into fleet.depot (part_of) values (null), (1), (1);
create table fleet.position (id bigint generated always as identity primary key, vehicle_id integer not null references fleet.vehicle (id), seen_at timestamptz not null);
insert into fleet.position (vehicle_id, seen_at) select n % 3000 + 1, timestamptz '2026-01-01' + n * interval '1 second' from generate_series(1, 30000) as n;
create index position_vehicle on fleet.position (vehicle_id, seen_at desc);
create table fleet.setting (name text not null unique, value text);
create sequence fleet.ticket_nr maxvalue 1000;
select setval('fleet.ticket_nr', 400);
create table fleet.random_key (id integer primary key, what text);
insert into fleet.random_key values (1, 'first'), (90000, 'last');
create table fleet.event (at timestamptz not null, id bigint not null, kind text not null, primary key (at, id)) partition by range (at);
do $$
declare month timestamptz := date_trunc('month', now() at time zone 'utc') at time zone 'utc';
begin
  for n in -2..3 loop
    execute format('create table fleet.event_%s partition of fleet.event for values from (%L) to (%L)', n + 2,
      (month at time zone 'utc' + n * interval '1 month') at time zone 'utc',
      (month at time zone 'utc' + (n + 1) * interval '1 month') at time zone 'utc');
  end loop;
end $$;
create table fleet.event_rest partition of fleet.event default;
create index event_kind on fleet.event (kind);
insert into fleet.event select now() + n * interval '1 minute', n, 'k' from generate_series(1, 5000) as n;
create function fleet.stamp() returns trigger language plpgsql as 'begin return new; end';
create trigger stamp_position before insert on fleet.position for each row execute function fleet.stamp();
create table "we""ird 🚀"."a
b; drop table x --" (id bigint primary key, "Owner's ""id""" bigint not null references fleet.driver (id));
insert into "we""ird 🚀"."a
b; drop table x --" select n, n % 12000 + 1 from generate_series(1, 15000) as n;
create index "by ""owner""" on "we""ird 🚀"."a
b; drop table x --" ("Owner's ""id""");
