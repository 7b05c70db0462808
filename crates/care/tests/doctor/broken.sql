-- A fleet's database in a bad way: several schemas, quoted names, keys of several columns, partitions. What is wrong
-- with it stands in faults.rs; what is right, and looks wrong to a careless eye, is called a trap.
create extension if not exists pg_stat_statements;
create extension if not exists amcheck;
create extension if not exists pgstattuple;
create schema "Sales";
create schema fleet;
create schema "we""ird 🚀";

create table "Sales"."Customer" (
  id uuid primary key default gen_random_uuid(),
  email text not null constraint customer_email_key unique,
  name text not null,
  region text not null
);
insert into "Sales"."Customer" (email, name, region)
select 'customer' || n || '@example.com', 'Customer ' || md5(n::text), 'r' || n % 7 from generate_series(1, 20000) as n;
-- Fault: what the constraint's own index does.
create index customer_email_idx on "Sales"."Customer" (email);
-- Trap: another operator class.
create index customer_email_like on "Sales"."Customer" (email text_pattern_ops);

create table "Sales"."Order" (
  tenant integer not null,
  nr integer not null,
  -- Fault: no index serves it.
  customer_id uuid not null constraint order_customer_fkey references "Sales"."Customer" (id) on delete cascade,
  placed_at timestamptz not null,
  status text not null,
  note text,
  constraint order_pkey primary key (tenant, nr)
);
insert into "Sales"."Order"
select n % 5, n, c.id, timestamptz '2026-01-01' + n * interval '1 minute',
  (array['new', 'paid', 'sent', 'done'])[n % 4 + 1], repeat('x', 40)
from generate_series(1, 20000) as n
join (select id, row_number() over (order by email) as place from "Sales"."Customer") as c on c.place = n;
insert into "Sales"."Order"
select tenant, nr + 20000 * step, customer_id, placed_at, status, note
from "Sales"."Order" cross join generate_series(1, 5) as step;
-- Fault: twice the same.
create index order_status_a on "Sales"."Order" (status);
create index order_status_b on "Sales"."Order" (status);
-- Fault: the head of the next one.
create index order_placed on "Sales"."Order" (placed_at);
create index order_placed_status on "Sales"."Order" (placed_at, status);
-- Trap: another order.
create index order_placed_status_desc on "Sales"."Order" (placed_at, status desc);
-- Trap: only a part of the rows.
create index order_placed_open on "Sales"."Order" (placed_at) where status = 'new';

create table "Sales"."Order Item" (
  line integer not null,
  tenant integer not null,
  order_nr integer not null,
  sku text not null,
  -- Trap: the key's columns stand in another order, behind another one.
  constraint item_pkey primary key (line, tenant, order_nr),
  -- Fault: no index has both columns at its head.
  constraint item_order_fkey foreign key (tenant, order_nr) references "Sales"."Order" (tenant, nr)
);
insert into "Sales"."Order Item" select 1, tenant, nr, 'sku' || nr % 100 from "Sales"."Order" where nr <= 30000;

create table fleet.driver (
  id bigint primary key,
  name text not null,
  boss_id bigint constraint driver_boss_fkey references fleet.driver (id)
);
insert into fleet.driver select n, 'driver ' || n, nullif(n / 10, 0) from generate_series(1, 12000) as n;
-- Trap: it serves the key, for rows that refer to something.
create index driver_boss on fleet.driver (boss_id) where boss_id is not null;

create table fleet.vehicle (id serial primary key, plate text not null, model text not null);
insert into fleet.vehicle (plate, model) select 'P' || n, 'model ' || n % 9 from generate_series(1, 3000) as n;
-- Trap: a small table does without.
create table fleet.depot (id integer generated always as identity primary key, part_of integer references fleet.depot (id));
insert into fleet.depot (part_of) values (null), (1), (1);

create table fleet.position (
  id bigint generated always as identity primary key,
  vehicle_id integer not null,
  seen_at timestamptz not null,
  place text not null
);
insert into fleet.position (vehicle_id, seen_at, place)
select n % 3000 + 1, timestamptz '2026-01-01' + n * interval '1 second', md5(n::text)
from generate_series(1, 150000) as n;

-- Fault: half of the rows are dead.
create table fleet.telemetry (id integer primary key, value double precision not null);
insert into fleet.telemetry select n, 0 from generate_series(1, 30000) as n;
-- Fault: autovacuum is switched off.
create table fleet.trip (id bigint primary key, vehicle_id integer not null, km integer) with (autovacuum_enabled = false);
insert into fleet.trip select n, n % 3000 + 1, n % 500 from generate_series(1, 20000) as n;
-- Fault: never analysed.
create table fleet.fuel (id bigint primary key, litres integer not null);
-- Fault: a crash empties it.
create unlogged table fleet.invoice (id bigint primary key, cents bigint not null);
-- Fault: no key at all.
create table fleet.log (at timestamptz not null, line text);
insert into fleet.log select now(), 'line ' || n from generate_series(1, 2000) as n;
-- Trap: a cache says that it may go, and has a key.
create table fleet.setting (name text not null unique, value text);

-- Fault: most of the table, and of its index, is empty.
create table fleet.archive (id bigint not null, kind integer not null, text text not null, constraint archive_pkey primary key (id));
insert into fleet.archive select n, n % 10, md5(n::text) from generate_series(1, 500000) as n;

-- Fault: nearly at its own end.
create sequence fleet.ticket_nr maxvalue 1000;
select setval('fleet.ticket_nr', 992);
-- Fault: the column ends long before the sequence.
create sequence "Sales".counter_seq;
create table "Sales"."Counter" (id integer primary key default nextval('"Sales".counter_seq'), what text);
select setval('"Sales".counter_seq', 2060000000);
-- Trap: it begins again.
create sequence fleet.round_robin maxvalue 100 cycle;
select setval('fleet.round_robin', 99);
-- Fault: no sequence feeds it, and it is nearly full.
create table fleet.legacy (id integer primary key, what text);
insert into fleet.legacy values (1, 'first'), (2120000000, 'last');

-- Fault: a month is missing, and rows for it are in the default partition.
create table fleet.event (at timestamptz not null, id bigint not null, kind text not null, primary key (at, id))
  partition by range (at);
create table fleet.event_2025_01 partition of fleet.event for values from ('2025-01-01 00:00:00+00') to ('2025-02-01 00:00:00+00');
create table fleet.event_2025_02 partition of fleet.event for values from ('2025-02-01 00:00:00+00') to ('2025-03-01 00:00:00+00');
create table fleet.event_2025_04 partition of fleet.event for values from ('2025-04-01 00:00:00+00') to ('2025-05-01 00:00:00+00');
create table fleet.event_rest partition of fleet.event default;
insert into fleet.event select timestamptz '2025-01-01 00:00:00+00' + n * interval '5 minutes', n, 'k'
from generate_series(1, 25000) as n;
-- Fault: one partition lacks what the others have.
create index event_2025_01_kind on fleet.event_2025_01 (kind);
create index event_2025_02_kind on fleet.event_2025_02 (kind);
-- Fault: declared on the parent, and attached nowhere but on one.
create index event_id on only fleet.event (id);
create index event_2025_01_id on fleet.event_2025_01 (id);
alter index fleet.event_id attach partition fleet.event_2025_01_id;

-- Fault: the last partition ends this month, or has ended.
create table fleet.job (at date not null, id bigint not null) partition by range (at);
do $$
begin
  execute format('create table fleet.job_now partition of fleet.job for values from (%L) to (%L)',
    current_date - 5, current_date + 2);
end $$;

-- Fault: never checked.
alter table fleet.driver add constraint driver_name_check check (length(name) > 3) not valid;
alter table fleet.trip add constraint trip_vehicle_fkey foreign key (vehicle_id) references fleet.vehicle (id) not valid;
create index trip_vehicle on fleet.trip (vehicle_id);

-- Fault: it does not fire.
create function fleet.stamp() returns trigger language plpgsql as 'begin return new; end';
create trigger stamp_position before insert on fleet.position for each row execute function fleet.stamp();
alter table fleet.position disable trigger stamp_position;
-- Fault: a foreign key that nobody enforces.
create table fleet.repair (id bigint primary key, vehicle_id integer not null constraint repair_vehicle_fkey references fleet.vehicle (id));
create index repair_vehicle on fleet.repair (vehicle_id);
alter table fleet.repair disable trigger all;

-- Fault: names that break careless statements; no index serves the key, and one is there twice.
create table "we""ird 🚀"."a
b; drop table x --" (id bigint primary key, "Owner's ""id""" bigint not null constraint "fk ""ü""" references fleet.driver (id));
insert into "we""ird 🚀"."a
b; drop table x --" select n, n % 12000 + 1 from generate_series(1, 15000) as n;
create table "we""ird 🚀".sixty_three_bytes_of_a_name_so_that_every_new_one_must_be_cut_x (id bigint primary key, kind text not null);
insert into "we""ird 🚀".sixty_three_bytes_of_a_name_so_that_every_new_one_must_be_cut_x select n, 'k' || n % 5 from generate_series(1, 5000) as n;
create index "kind ""one""" on "we""ird 🚀".sixty_three_bytes_of_a_name_so_that_every_new_one_must_be_cut_x (kind);
create index "kind ""two""" on "we""ird 🚀".sixty_three_bytes_of_a_name_so_that_every_new_one_must_be_cut_x (kind);

-- Fault: a unique index that misses rows, so that a duplicate hides behind it.
create table "Sales"."Member" (id bigint primary key, email text not null constraint member_email_key unique);
insert into "Sales"."Member" select n, 'm' || n || '@example.com' from generate_series(1, 500) as n;
update pg_index set indisready = false where indexrelid = '"Sales".member_email_key'::regclass;
insert into "Sales"."Member" values (501, 'm7@example.com');
update pg_index set indisready = true where indexrelid = '"Sales".member_email_key'::regclass;
-- Fault: what a REINDEX CONCURRENTLY left.
create index vehicle_model on fleet.vehicle (model);
create index vehicle_model_ccnew on fleet.vehicle (model);
update pg_index set indisvalid = false where indexrelid = 'fleet.vehicle_model_ccnew'::regclass;
-- Fault: what a build left that failed.
create index position_place on fleet.position (place);
update pg_index set indisvalid = false where indexrelid = 'fleet.position_place'::regclass;

-- Fault: a role whose sessions check no keys.
create role fleet_loader nologin;
alter role fleet_loader set session_replication_role = replica;
-- Fault: a standby that is gone keeps WAL.
select pg_create_physical_replication_slot('lost_standby', true);

-- next
analyze;
-- next
update fleet.telemetry set value = 1;
insert into fleet.fuel select n, n % 60 from generate_series(1, 15000) as n;
-- Fault: it changed since it was analysed.
insert into fleet.vehicle (plate, model) select 'Q' || n, 'model ' || n % 9 from generate_series(1, 12000) as n;
delete from fleet.archive where id % 10 <> 0;
