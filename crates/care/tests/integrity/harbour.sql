-- A harbour: several schemas, names that need quotes, keys of several columns and of uuids, partitions, and no
-- foreign key but one. Healthy.
create schema "Fleet";
create schema cargo;
create schema crew;
create schema billing;
create schema crm;

create table "Fleet"."Vessels" (
  "VesselId" uuid primary key, "Name" text, "BuiltOn" date, "Tonnage" numeric(10, 1)
);
insert into "Fleet"."Vessels"
select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'Vessel ' || i, date '1990-01-01' + i * 30, 100 + i
from generate_series(1, 40) as i;

create table "Fleet"."Berths" ("Port" text, "No" integer, "Length" numeric(6, 1), primary key ("Port", "No"));
insert into "Fleet"."Berths"
select port, no, 100 + no from unnest(array['Hamburg', 'Oslo', 'Porto']) as port, generate_series(1, 8) as no;

create table "Fleet"."Odd ""Name""
of a table" (id integer primary key, "a.b" text, "{table}" integer);
insert into "Fleet"."Odd ""Name""
of a table" select i, 'x', i from generate_series(1, 20) as i;

create table cargo.manifests (
  id bigint, loaded_on date, "vesselId" uuid, "Berth Port" text, "Berth No" integer, declared_total numeric(12, 2),
  primary key (id, loaded_on)
) partition by range (loaded_on);
create table cargo.manifests_2024 partition of cargo.manifests for values from ('2024-01-01') to ('2025-01-01');
create table cargo.manifests_2025 partition of cargo.manifests for values from ('2025-01-01') to ('2026-01-01');

create table cargo.manifest_lines (
  id bigint primary key, manifest_id bigint, loaded_on date, pieces integer, unit_cost numeric(10, 2)
);
insert into cargo.manifest_lines
select i, 1 + i % 300, date '2024-06-01' + (1 + i % 300), 1 + i % 4, 10 + i % 90 + 0.25 from generate_series(1, 1200) as i;
insert into cargo.manifests
select
  i, date '2024-06-01' + i, ('00000000-0000-4000-8000-' || lpad((1 + i % 40)::text, 12, '0'))::uuid,
  (array['Hamburg', 'Oslo', 'Porto'])[1 + i % 3], 1 + i % 8,
  (select sum(pieces * unit_cost) from cargo.manifest_lines where manifest_id = i)
from generate_series(1, 300) as i;
create table cargo.readings (sensor_id integer, at timestamptz, value numeric);
insert into cargo.readings select i % 5, timestamptz '2025-01-01 00:00:00+00' + i * interval '1 minute', -i from generate_series(1, 100) as i;

create table crew.sailors (sailor_no integer primary key, name text, email text, hired_on date, left_on date);
insert into crew.sailors
select i, 'Sailor ' || i, 'sailor' || i || '@harbour.example', date '2015-01-01' + i, case when i % 3 = 0 then date '2020-01-01' + i end
from generate_series(100, 400) as i;
create table crew.assignments (
  id uuid primary key, sailor_no text, vessel_id uuid, started_at timestamp, ended_at timestamp
);
insert into crew.assignments
select
  ('00000000-0000-4000-9000-' || lpad(i::text, 12, '0'))::uuid, (100 + i % 301)::text,
  ('00000000-0000-4000-8000-' || lpad((1 + i % 40)::text, 12, '0'))::uuid,
  timestamp '2021-01-01' + i * interval '1 day', timestamp '2021-03-01' + i * interval '1 day'
from generate_series(1, 500) as i;
create table crew.certificates (id integer primary key, code text not null unique, title text not null);
insert into crew.certificates select i, 'C' || i, 'Certificate ' || i from generate_series(1, 12) as i;
create table crew.sailor_certificates (sailor_no integer, certificate_id integer, created_at timestamptz);
insert into crew.sailor_certificates
select 100 + i % 301, 1 + i / 301, timestamptz '2022-01-01 00:00:00+00' from generate_series(0, 700) as i;
create table crew.login_log (id bigint generated always as identity primary key, email text, seen_at timestamptz);
insert into crew.login_log (email, seen_at)
select 'sailor' || 100 + i % 9 || '@harbour.example', timestamptz '2023-01-01 00:00:00+00' from generate_series(1, 90) as i;

create table billing.customers (id integer, name text, vat_no text);
insert into billing.customers select i, 'Company ' || i, 'VAT' || i from generate_series(1, 80) as i;
create table crm.customers (id integer primary key, email text unique);
insert into crm.customers select i, 'c' || i || '@crm.example' from generate_series(1, 60) as i;
create table billing.invoices (
  id integer primary key, invoice_no text, "customerId" integer, amount numeric(12, 2), issued_on date, due_on date, shipping numeric(8, 2)
);
create table billing.invoice_lines (invoice_id integer, text text, total numeric(12, 2));
insert into billing.invoice_lines select 1 + i % 200, 'line ' || i, 5 + i % 50 from generate_series(1, 600) as i;
insert into billing.invoices
select
  i, 'R-' || i, 1 + i % 80, (select sum(total) from billing.invoice_lines where invoice_id = i) + i % 3,
  date '2025-01-01' + i, date '2025-01-15' + i, i % 3
from generate_series(1, 200) as i;
create table billing.ledger_entries (id integer primary key, amount numeric(12, 2));
insert into billing.ledger_entries select i, case when i % 2 = 0 then i else -i end from generate_series(1, 100) as i;
create table billing.berth_fees (id integer primary key, port text, no integer, fee numeric(8, 2), note text,
  foreign key (port, no) references "Fleet"."Berths" match full);
insert into billing.berth_fees
select i, case when i > 5 then 'Oslo' end, case when i > 5 then 1 + i % 8 end, 20, 'n' from generate_series(1, 50) as i;
create view billing.open_invoices as select id, amount from billing.invoices;
create table billing.empty (id integer primary key, invoice_id integer, email text, price numeric);
analyze;
