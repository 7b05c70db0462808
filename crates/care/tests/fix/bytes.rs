//! Every type comes back as it was, under names that need quotes, past triggers, generated columns and partitions.

use posthaste_care::fix;
use posthaste_testkit::db::TestDb;

use super::carry_out::{carry_out, plan, rows, run, value};

#[tokio::test]
async fn every_type_and_name_comes_back() {
    let db = TestDb::empty().await;
    run(
        &db,
        r#"
create schema "Odd {schema}";
create type "Odd {schema}"."Mood" as enum ('so, so', 'it''s "fine"');
create table "Odd {schema}"."t" (
  "t" bigint generated always as identity, part text, primary key ("t", part),
  "Stock" integer, "dropped" int, f8 double precision, f4 real, n numeric, b bytea, j json, jb jsonb, ts timestamptz,
  iv interval, a text[], m "Odd {schema}"."Mood", c char(7), r int4range, x text, "quo""te" text,
  twice integer generated always as ("Stock" * 2) stored, changed_at timestamptz default now()
);
alter table "Odd {schema}"."t" drop column dropped;
create function touch() returns trigger language plpgsql as $$ begin new.changed_at := clock_timestamp(); return new; end $$;
create trigger touch before update on "Odd {schema}"."t" for each row execute function touch();
insert into "Odd {schema}"."t" (part, "Stock", f8, f4, n, b, j, jb, ts, iv, a, m, c, r, x, "quo""te")
select 'p' || i, i, 0.1::float8 + i / 3.0, 1 / 3.0, 'NaN', '\x00ff27'::bytea, '{ "b":1,  "a": 1.10 }', '{"a": 1.10}',
  timestamptz '2024-02-29 23:59:59.123456+05:30', interval '1 mon -3 days 04:05:06.789', array['a,b', null, '"', 'NULL', ''],
  'it''s "fine"', 'ab', '[1,5)', E'tab\t\nline, (paren) \\ back', ''
from generate_series(1, 40) as i;
update "Odd {schema}"."t" set "Stock" = -5 where "t" in (3, 4);
update "Odd {schema}"."t" set f8 = '-0', n = 1.500, x = null, a = '{}', ts = 'infinity' where "t" = 4;
"#,
    )
    .await;
    run(&db, "set extra_float_digits = -10; alter role current_user reset all").await;
    let table = "\"Odd {schema}\".\"t\"";
    let before = rows(&db, table).await;
    let plan = plan(&db, &["negatives=clamp"]).await;
    carry_out(&db, &plan).await;
    assert_eq!(
        value::<i64>(&db, &format!("select count(*) from {table} where \"Stock\" = 0 and twice = 0")).await,
        2
    );
    fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
    assert_eq!(rows(&db, table).await, before);
}

#[tokio::test]
async fn orphans_of_partitions_go_and_come_back() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table ships (id int primary key);
         insert into ships select i from generate_series(1, 30) as i;
         create table stops (id int generated always as identity, on_day date, ship_id int, primary key (id, on_day)) partition by range (on_day);
         create table stops_1 partition of stops for values from ('2024-01-01') to ('2025-01-01');
         create table stops_2 (on_day date not null, ship_id int, id int not null);
         alter table stops attach partition stops_2 for values from ('2025-01-01') to ('2026-01-01');
         insert into stops (on_day, ship_id) select date '2024-06-01' + i, 1 + i % 30 from generate_series(1, 400) as i;
         update stops set ship_id = 99 where id in (5, 300, 301)",
    )
    .await;
    let before = [rows(&db, "stops_1").await, rows(&db, "stops_2").await];
    carry_out(&db, &plan(&db, &["orphans=quarantine"]).await).await;
    assert_eq!(value::<i64>(&db, "select count(*) from stops").await, 397);
    assert_eq!(value::<i64>(&db, "select count(*) from posthaste_quarantine.\"public.stops\"").await, 3);
    fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
    assert_eq!([rows(&db, "stops_1").await, rows(&db, "stops_2").await], before);
}

#[tokio::test]
async fn row_without_a_key_can_go_and_come_back_but_not_be_changed() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table boxes (id int primary key);
         insert into boxes select i from generate_series(1, 30) as i;
         create table things (box_id int, stock int);
         insert into things select 1 + i % 30, i from generate_series(1, 100) as i;
         insert into things values (77, 1), (77, 1);
         insert into things values (1, -1)",
    )
    .await;
    let before = rows(&db, "things").await;
    let plan = plan(&db, &["orphans=delete", "negatives=clamp"]).await;
    assert!(
        plan.notes.iter().any(|note| note.contains("`public.things` has no primary key")),
        "{:?}",
        plan.notes
    );
    carry_out(&db, &plan).await;
    assert_eq!(value::<i64>(&db, "select count(*) from things").await, 101);
    fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
    assert_eq!(rows(&db, "things").await, before);
}

#[tokio::test]
async fn orphans_that_others_point_to_stay() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table owners (id int primary key);
         insert into owners select i from generate_series(1, 30) as i;
         create table dogs (id int primary key, owner_id int);
         insert into dogs select i, 1 + i % 30 from generate_series(1, 60) as i;
         create table walks (id int primary key, dog_id int references dogs (id) on delete cascade);
         insert into walks select i, 1 + i % 5 from generate_series(1, 20) as i;
         update dogs set owner_id = 500 where id in (2, 50)",
    )
    .await;
    carry_out(&db, &plan(&db, &["orphans=delete"]).await).await;
    assert_eq!(value::<i64>(&db, "select count(*) from dogs").await, 59, "one dog has walks");
    assert_eq!(value::<i64>(&db, "select count(*) from walks").await, 20);
}
