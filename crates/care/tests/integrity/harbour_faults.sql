-- What goes wrong in the harbour; `harbour_faults.toml` counts it.

-- 5 lines of manifests that are not there, by a key of two columns, and 2 of none.
update cargo.manifest_lines set loaded_on = date '2024-01-01' where id in (1201, 1202);
insert into cargo.manifest_lines select 2000 + i, 9000 + i, date '2024-07-01', 1, 1 from generate_series(1, 5) as i;
insert into cargo.manifest_lines values (2011, null, date '2024-07-01', 1, 1), (2012, null, null, 1, 1);
-- 3 manifests of no vessel, in two partitions; 2 of them at no berth.
update cargo.manifests set "vesselId" = '11111111-0000-4000-8000-000000000000' where id in (3, 4, 290);
update cargo.manifests set "Berth No" = 77 where id in (3, 290);
-- 4 assignments of sailors that are not there, where a number is kept as a text, and 1 that is none.
update crew.assignments set sailor_no = '9' || sailor_no where id::text like '%00000000001_' and id::text > '00000000-0000-4000-9000-000000000015';
-- 2 invoices of nobody.
update billing.invoices set "customerId" = 5000 where id in (12, 13);
-- 6 lines of no invoice.
insert into billing.invoice_lines select 7000, 'lost', 1 from generate_series(1, 6);
-- Declared, and broken: one of the two is NULL, and one is no berth.
set session_replication_role = replica;
update billing.berth_fees set no = null where id = 10;
update billing.berth_fees set port = 'Bergen' where id = 11;
set session_replication_role = origin;

-- Keys: the same customer twice, two addresses twice, one by case; one invoice number twice; one link twice.
insert into billing.customers select id, name || ' again', vat_no || 'b' from billing.customers where id = 9;
update crew.sailors set email = 'sailor100@harbour.example' where sailor_no = 150;
update crew.sailors set email = 'sailor101@harbour.example' where sailor_no in (151, 152);
update crew.sailors set email = 'SAILOR102@harbour.example' where sailor_no = 153;
update billing.invoices set invoice_no = 'R-20' where id = 21;
insert into crew.sailor_certificates select sailor_no, certificate_id, created_at from crew.sailor_certificates limit 1;
-- A primary key over partitions, one index of which was not told.
update pg_index set indisready = false where indexrelid = 'cargo.manifests_2025_pkey'::regclass;
insert into cargo.manifests select id, loaded_on, "vesselId", "Berth Port", "Berth No", declared_total from cargo.manifests where id = 250;
update pg_index set indisready = true where indexrelid = 'cargo.manifests_2025_pkey'::regclass;

-- Values.
update "Fleet"."Berths" set "Length" = -1 where "Port" = 'Oslo' and "No" = 3;
update "Fleet"."Vessels" set "Name" = ' ' where "VesselId"::text like '%07';
update crew.sailors set name = null where sailor_no in (160, 161);
update cargo.manifests set declared_total = declared_total + 0.01 where id in (20, 280);
update cargo.manifests set declared_total = null where id = 21;
update billing.invoices set amount = amount - 3 where id in (30, 31, 32);
alter table billing.customers add constraint vat_is_said check (vat_no <> '') not valid;
alter table billing.customers drop constraint vat_is_said;
update billing.customers set vat_no = '' where id in (70, 71);
alter table billing.customers add constraint vat_is_said check (vat_no <> '') not valid;
alter table crew.certificates alter column title drop not null;
update crew.certificates set title = null where id = 5;
update pg_attribute set attnotnull = true where attrelid = 'crew.certificates'::regclass and attname = 'title';

-- Times.
update crew.sailors set left_on = hired_on - 5 where sailor_no in (180, 183);
update crew.assignments set ended_at = started_at - interval '3 days' where sailor_no in ('200', '201') and ended_at < '2021-12-31';
update billing.invoices set due_on = issued_on - 1 where id = 40;
update "Fleet"."Vessels" set "BuiltOn" = '2101-01-01' where "VesselId"::text like '%09';
