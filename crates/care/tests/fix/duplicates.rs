//! Duplicates are merged with what points to them, or renamed within the length.

use posthaste_care::fix;
use posthaste_testkit::db::TestDb;

use super::carry_out::{carry_out, check, plan, rows, run, value};

const BROKEN: &str = "
create table people (id bigint generated always as identity primary key, email varchar(40) not null unique, note text);
insert into people (email) select 'p' || i || '@example.com' from generate_series(1, 200) as i;
insert into people (email) values (repeat('x', 20) || '@' || repeat('y', 15) || '.com');
create table visits (id int primary key, person_id bigint references people (id) on delete cascade);
insert into visits select i, 1 + i % 200 from generate_series(1, 400) as i;
create table \"Undeclared Visits\" (\"Id\" uuid primary key, \"personId\" text);
insert into \"Undeclared Visits\" select gen_random_uuid(), (1 + i % 200)::text from generate_series(1, 300) as i;
update pg_index set indisready = false where indexrelid = 'people_email_key'::regclass;
insert into people (email, note) select email, 'twice' from people where id in (3, 4, 201);
insert into people (email, note) select email, 'thrice' from people where id = 3;
update pg_index set indisready = true where indexrelid = 'people_email_key'::regclass;
insert into visits values (1001, 202), (1002, 205), (1003, 203);
insert into \"Undeclared Visits\" values ('11111111-1111-4111-8111-111111111111', '202');
analyze";

async fn broken() -> TestDb {
    let db = TestDb::empty().await;
    run(&db, BROKEN).await;
    db
}

#[tokio::test]
async fn merged_rows_take_what_pointed_to_them_along() {
    let db = broken().await;
    let before =
        [rows(&db, "people").await, rows(&db, "visits").await, rows(&db, "\"Undeclared Visits\"").await];
    carry_out(&db, &plan(&db, &["duplicates=merge"]).await).await;
    assert_eq!(value::<i64>(&db, "select count(*) from people").await, 201);
    assert_eq!(
        value::<i64>(&db, "select count(*) from visits").await,
        403,
        "a cascade would have taken three along"
    );
    let now: Vec<i64> =
        value(&db, "select array_agg(person_id order by id) from visits where id > 1000").await;
    assert_eq!(now, [3, 3, 4]);
    let visit = "\"Id\" = '11111111-1111-4111-8111-111111111111'";
    let undeclared: String =
        value(&db, &format!("select \"personId\" from \"Undeclared Visits\" where {visit}")).await;
    assert_eq!(undeclared, "3");
    assert!(check(&db).await.report.findings.iter().all(|finding| finding.code == "relation-undeclared"));

    // The index is whole again and refuses the old rows; without it they come back to the byte.
    let error = fix::take_back(&db.target, "mend-1", |_| ()).await.expect_err("the unique index");
    assert!(error.next_step().contains("unique index"), "{error:?}");
    run(&db, "alter table people drop constraint people_email_key").await;
    fix::take_back(&db.target, "mend-1", |_| ()).await.expect("to take it back");
    assert_eq!(
        [rows(&db, "people").await, rows(&db, "visits").await, rows(&db, "\"Undeclared Visits\"").await],
        before
    );
}

#[tokio::test]
async fn renamed_values_fit_and_differ() {
    let db = broken().await;
    carry_out(&db, &plan(&db, &["duplicates=rename"]).await).await;
    let renamed: Vec<String> =
        value(&db, "select array_agg(email::text order by id) from people where note is not null").await;
    assert_eq!(
        renamed,
        [
            "p3+duplicate-202@example.com",
            "p4+duplicate-203@example.com",
            "xxxxxx+duplicate-204@yyyyyyyyyyyyyyy.com",
            "p3+duplicate-205@example.com"
        ]
    );
    assert_eq!(value::<i64>(&db, "select count(distinct email) from people").await, 205);
}

#[tokio::test]
async fn row_whose_key_itself_is_there_twice_is_a_person_s_to_decide() {
    let db = TestDb::empty().await;
    run(
        &db,
        "create table t (id int primary key, name text);
         insert into t select i, 'n' || i from generate_series(1, 50) as i;
         update pg_index set indisready = false where indexrelid = 't_pkey'::regclass;
         insert into t values (7, 'another');
         update pg_index set indisready = true where indexrelid = 't_pkey'::regclass",
    )
    .await;
    let plan = plan(&db, &["duplicates=merge"]).await;
    assert_eq!(plan.steps().count(), 0);
    assert!(
        plan.notes.iter().any(|note| note.contains("nothing says which row is the right one")),
        "{:?}",
        plan.notes
    );
}
