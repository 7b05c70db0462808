//! Old rows go to the archive with what belongs to them, proven, and nothing is lost on the way.

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use posthaste_base::catalog::Name;
use posthaste_care::archive::{self, Form, Older, Request, Writing};
use posthaste_report::{Plan, RunState};
use posthaste_runner::RunOptions;
use posthaste_testkit::db::TestDb;

const DEALS: &str = "
create table customers (id int primary key);
insert into customers select i from generate_series(1, 10) as i;
create table deals (
  id bigint generated always as identity primary key, customer_id int references customers (id), closed_at timestamptz,
  \"Amount\" numeric(10, 2), twice numeric generated always as (\"Amount\" * 2) stored, note text, ratio double precision
);
insert into deals (customer_id, closed_at, \"Amount\", note, ratio)
select 1 + i % 10, now() - interval '3 years' + i * interval '1 day', i, 'note ' || i, i / 3.0 from generate_series(1, 1000) as i;
create table notes (id int primary key, deal_id bigint not null references deals (id) on delete cascade, said text);
insert into notes select i, 1 + i % 1000, 'said ' || i from generate_series(1, 2000) as i;
create table likes (note_id int references notes (id), who text);
insert into likes select 1 + i % 2000, 'w' || i from generate_series(1, 3000) as i;
analyze";

async fn deals() -> TestDb {
    let db = TestDb::empty().await;
    run(&db, DEALS).await;
    db
}

async fn run(db: &TestDb, statements: &str) {
    let session = db.pool.get().await.expect("a connection");
    session.batch_execute(statements).await.expect("the statements to run");
}

async fn value<T: for<'a> posthaste_pg::driver::FromSql<'a>>(db: &TestDb, sql: &str) -> T {
    let session = db.pool.get().await.expect("a connection");
    session.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{error:?}: {sql}")).get(0)
}

fn request(with_children: bool) -> Request {
    Request {
        name: "archive-deals".into(),
        table: Name::new("public", "deals"),
        older: Some(Older { column: "closed_at".into(), than: "2 years".into() }),
        condition: Some("customer_id <> 7".into()),
        into: "Old \"stuff\"".into(),
        with_children,
    }
}

async fn carry_out(db: &TestDb, plan: &Plan) {
    let plan = Plan::from_toml(&plan.to_toml().expect("a plan as text")).expect("the plan to be read again");
    let run = posthaste_runner::run(&db.target, &plan, RunOptions::default(), |_| ())
        .await
        .expect("the plan to be carried out");
    assert_eq!(run.state, RunState::Done);
}

/// Rows of both places together, as one text.
async fn both(db: &TestDb, table: &str, columns: &str) -> String {
    let sql = format!(
        "select md5(string_agg(row::text, ' ' order by row::text)) from (
           select row({columns}) from {table} union all select row({columns}) from \"Old \"\"stuff\"\"\".{table}) as b"
    );
    value(db, &sql).await
}

async fn one(db: &TestDb, table: &str, columns: &str) -> String {
    let sql = format!(
        "select md5(string_agg(row::text, ' ' order by row::text)) from (select row({columns}) from {table}) as b"
    );
    value(db, &sql).await
}

const TABLES: [(&str, &str); 3] = [
    ("deals", "id, customer_id, closed_at, \"Amount\", twice, note, ratio"),
    ("notes", "id, deal_id, said"),
    ("likes", "note_id, who"),
];

#[tokio::test]
async fn a_family_goes_together_and_no_row_is_lost_or_changed() {
    let db = deals().await;
    let mut before = Vec::new();
    for (table, columns) in TABLES {
        before.push(one(&db, table, columns).await);
    }
    let old: i64 = value(
        &db,
        "select count(*) from deals where closed_at < now() - interval '2 years' and customer_id <> 7",
    )
    .await;
    let plan = archive::plan(&db.target, &request(true)).await.expect("a plan");
    carry_out(&db, &plan).await;
    let mut after = Vec::new();
    for (table, columns) in TABLES {
        after.push(both(&db, table, columns).await);
    }
    assert_eq!(after, before);
    let moved = archive::moved(&db.target, "archive-deals").await.expect("what was moved");
    let rows: Vec<(&str, i64)> = moved.iter().map(|moved| (moved.table.as_str(), moved.rows)).collect();
    assert_eq!(rows, [("public.likes", old * 3), ("public.notes", old * 2), ("public.deals", old)]);
    assert!(moved.iter().all(|moved| moved.rows == moved.put));
    // What the run tells are rows that went, of the table with the most of them.
    let told: i64 = value(&db, "select sum(rows)::bigint from posthaste_runner.step").await;
    assert_eq!(told, old * 3);
    let orphans: i64 = value(
        &db,
        "select count(*) from notes where not exists (select from deals where deals.id = deal_id)",
    )
    .await;
    assert_eq!(orphans, 0);
}

#[tokio::test]
async fn what_a_cascade_would_take_along_unarchived_is_refused() {
    let db = deals().await;
    let error = archive::plan(&db.target, &request(false)).await.expect_err("a refusal");
    assert!(
        error.message().contains("rows of public.notes would be deleted with them, unarchived"),
        "{error:?}"
    );
    // Where nothing points to the rows, they go; a row that comes to point to one meanwhile keeps it.
    run(&db, "delete from likes; delete from notes").await;
    let plan = archive::plan(&db.target, &request(false)).await.expect("a plan");
    run(&db, "insert into notes values (1, 1, 'late')").await;
    carry_out(&db, &plan).await;
    assert_eq!(value::<i64>(&db, "select count(*) from deals where id = 1").await, 1);
    assert_eq!(value::<i64>(&db, "select count(*) from notes").await, 1);
}

#[tokio::test]
async fn archive_with_another_order_of_columns_takes_each_to_its_own() {
    let db = deals().await;
    run(
        &db,
        "create schema \"Old \"\"stuff\"\"\";
         create table \"Old \"\"stuff\"\"\".deals (
           archived_by text, ratio double precision, note text, twice numeric, \"Amount\" numeric(10, 2), closed_at timestamptz,
           customer_id int, id bigint)",
    )
    .await;
    let plan = archive::plan(&db.target, &request(true)).await.expect("a plan");
    carry_out(&db, &plan).await;
    let wrong: i64 = value(
        &db,
        "select count(*) from \"Old \"\"stuff\"\"\".deals where archived_by is not null or note <> 'note ' || id or note is null",
    )
    .await;
    assert_eq!(wrong, 0);
}

#[tokio::test]
async fn archive_that_cannot_take_the_rows_is_said_before_anything_moves() {
    let db = deals().await;
    run(
        &db,
        "create schema \"Old \"\"stuff\"\"\";
         create table \"Old \"\"stuff\"\"\".deals (id bigint, customer_id int, closed_at timestamptz, note varchar(3))",
    )
    .await;
    let error = archive::plan(&db.target, &request(true)).await.expect_err("a refusal");
    assert!(error.message().contains("it has no column `Amount`"), "{error:?}");
}

#[tokio::test]
async fn run_that_was_killed_goes_on_and_moves_each_row_once() {
    let db = deals().await;
    let plan = archive::plan(&db.target, &request(true)).await.expect("a plan");
    let mut before = Vec::new();
    for (table, columns) in TABLES {
        before.push(one(&db, table, columns).await);
    }
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let mut options = RunOptions::default();
    options.pace.rows_max = 20;
    let seen = count.clone();
    // The tenth point of the run that a crash could be at.
    options.fault =
        Some(std::sync::Arc::new(move |_| seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 10));
    posthaste_runner::run(&db.target, &plan, options, |_| ()).await.expect_err("the run to be killed");
    let runs = posthaste_runner::list(&db.target, 1).await.expect("the run");
    let run = posthaste_runner::resume(&db.target, runs[0].id, RunOptions::default(), |_| ())
        .await
        .expect("to go on");
    assert_eq!(run.state, RunState::Done);
    let mut after = Vec::new();
    for (table, columns) in TABLES {
        after.push(both(&db, table, columns).await);
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_with_the_reason() {
    let db = deals().await;
    run(&db, "create table tree (id int primary key, parent_id int references tree (id)); create table bag (a int)").await;
    for (change, part) in [
        (
            Box::new(|request: &mut Request| request.table = Name::new("public", "bag"))
                as Box<dyn Fn(&mut Request)>,
            "no primary key",
        ),
        (
            Box::new(|request: &mut Request| {
                (request.table, request.older) = (Name::new("public", "tree"), None);
                request.condition = Some("id > 0".into());
            }),
            "points to itself",
        ),
        (
            Box::new(|request: &mut Request| request.table = Name::new("public", "nothing")),
            "there is no table",
        ),
        (Box::new(|request: &mut Request| request.condition = Some("prize > 3".into())), "prize"),
        (
            Box::new(|request: &mut Request| (request.older, request.condition) = (None, None)),
            "nothing says which rows",
        ),
        (
            Box::new(|request: &mut Request| {
                request.older = Some(Older { column: "closed_at".into(), than: "soon".into() });
            }),
            "interval",
        ),
    ] {
        let mut wrong = request(true);
        change(&mut wrong);
        let error = archive::plan(&db.target, &wrong).await.expect_err(part);
        assert!(error.message().contains(part), "{error:?}");
    }
}

/// All rows of the three tables as they are now.
async fn whole(db: &TestDb) -> Vec<String> {
    let mut whole = Vec::new();
    for (table, columns) in TABLES {
        whole.push(one(db, table, columns).await);
    }
    whole
}

fn way_back() -> archive::Restore {
    archive::Restore { name: "back".into(), of: "archive-deals".into(), condition: None }
}

#[tokio::test]
async fn what_was_archived_comes_back_as_it_was() {
    let db = deals().await;
    let before = whole(&db).await;
    carry_out(&db, &archive::plan(&db.target, &request(true)).await.expect("a plan")).await;
    assert_ne!(whole(&db).await, before);
    let plan = archive::restore(&db.target, &way_back()).await.expect("the way back");
    carry_out(&db, &plan).await;
    assert_eq!(whole(&db).await, before);
    assert_eq!(value::<i64>(&db, "select count(*) from \"Old \"\"stuff\"\"\".deals").await, 0);
}

#[tokio::test]
async fn rows_leave_for_csv_only_when_it_is_proven_and_come_back_from_it() {
    rows_leave_for_a_file(Form::Csv).await;
}

#[tokio::test]
async fn rows_leave_for_parquet_only_when_it_is_proven_and_come_back_from_it() {
    rows_leave_for_a_file(Form::Parquet).await;
}

async fn rows_leave_for_a_file(form: Form) {
    let db = deals().await;
    run(&db, "update deals set note = E'two\\nlines, \"quotes\" and \\\\' where id % 3 = 0; update deals set note = '' where id % 7 = 0; update deals set note = null, ratio = 'NaN' where id % 5 = 0").await;
    let before = whole(&db).await;
    carry_out(&db, &archive::plan(&db.target, &request(true)).await.expect("a plan")).await;
    let folder = std::env::temp_dir().join(format!("posthaste-archive-{}", db.target.database()));
    let writing = Writing { plan: "archive-deals", folder: &folder, form, drops: true };
    // Killed at any point, the tables are whole, and it can be said again.
    for point in ["written", "proven", "before-commit"] {
        let dies = |at: &str| at == point;
        archive::export(&db.target, &writing, &dies).await.expect_err(point);
        let there: i64 = value(&db, "select count(*) from \"Old \"\"stuff\"\"\".likes").await;
        assert!(there > 0, "{point}");
    }
    let filed = archive::export(&db.target, &writing, &|_| false).await.expect("files");
    assert_eq!(filed.len(), 3);
    assert!(!value::<bool>(&db, "select to_regclass('\"Old \"\"stuff\"\"\".deals') is not null").await);
    let again = archive::export(&db.target, &writing, &|_| false).await.expect("nothing to do");
    assert_eq!(again.iter().map(|one| one.rows).sum::<i64>(), filed.iter().map(|one| one.rows).sum::<i64>());

    // A file of that name with other rows may be all that is left of them.
    run(&db, "create table \"Old \"\"stuff\"\"\".deals (like public.deals)").await;
    let error = archive::export(&db.target, &writing, &|_| false).await.expect_err("the only copy");
    assert_eq!(error.code(), posthaste_base::Code::Conflict, "{error:?}");
    run(&db, "drop table \"Old \"\"stuff\"\"\".deals").await;

    // A file that somebody has touched is no proof any more.
    let path = &filed.last().expect("a file").file;
    let bytes = std::fs::read(path).expect("the file");
    let mut touched = bytes.clone();
    let at = bytes.windows(5).position(|part| part == b"lines").expect("a note");
    touched[at..at + 5].copy_from_slice(b"times");
    std::fs::write(path, touched).expect("to write");
    let error = archive::import(&db.target, "archive-deals").await.expect_err("another file");
    assert_eq!(error.code(), posthaste_base::Code::ProofFailed, "{error:?}");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("to write");
    archive::import(&db.target, "archive-deals").await.expect_err("half a file");
    std::fs::write(path, bytes).expect("to write");

    archive::import(&db.target, "archive-deals").await.expect("to read them again");
    carry_out(&db, &archive::restore(&db.target, &way_back()).await.expect("the way back")).await;
    assert_eq!(whole(&db).await, before);
    std::fs::remove_dir_all(&folder).expect("to clean up");
}

/// Every type that has one of its own in Parquet, and values that have no place in it.
const KINDS: &str = r#"
create table kinds (id bigint primary key, old date, flag boolean, tiny smallint, n integer, f4 real, f8 double precision,
  money numeric(12, 2), large numeric(38, 10), free numeric, "Day" date, local timestamp, zoned timestamptz(3), key uuid,
  raw bytea, j json, jb jsonb, words text[], name varchar(20), fixed char(5), odd timestamptz, odd_money numeric(6, 2),
  span interval, twice bigint generated always as (id * 2) stored);
insert into kinds
select i, '2000-01-01', i % 2 = 0, i % 100, -i, i / 3.0, i / 7.0, i / -8.0, i / 9.0, i / 11.0, date '1969-12-01' + i,
  timestamp '1969-12-31 23:59:59.999999' + i * interval '1 hour 1 microsecond', timestamptz '2026-03-29 01:30:00+01' + i * interval '17 s',
  md5(i::text)::uuid, decode(md5(i::text), 'hex'), '{"a":  1}', '{"b": [1, 2]}', array['x', null, i::text], 'näme' || i, 'ab',
  case when i = 7 then 'infinity'::timestamptz else now() end, case when i = 8 then 'NaN'::numeric else i end, i * interval '1 day 1 second'
from generate_series(1, 300) as i;
insert into kinds (id, old) values (1000, '2000-01-01')"#;

#[tokio::test]
async fn parquet_has_the_types_of_columns_and_every_value_of_them() {
    let db = TestDb::empty().await;
    run(&db, KINDS).await;
    let (sum, table) = ("select md5(string_agg(t::text, '|' order by id)) from {} as t", "kinds");
    let before: String = value(&db, &sum.replace("{}", table)).await;
    let request = Request {
        name: "archive-kinds".into(),
        table: Name::new("public", "kinds"),
        older: Some(Older { column: "old".into(), than: "1 year".into() }),
        condition: None,
        into: "archive".into(),
        with_children: false,
    };
    carry_out(&db, &archive::plan(&db.target, &request).await.expect("a plan")).await;
    let folder = std::env::temp_dir().join(format!("posthaste-archive-{}", db.target.database()));
    let writing = Writing { plan: "archive-kinds", folder: &folder, form: Form::Parquet, drops: true };
    let filed = archive::export(&db.target, &writing, &|_| false).await.expect("a file");
    assert_eq!(filed[0].rows, 301);

    // Read by who knows nothing of us.
    let file = std::fs::File::open(&filed[0].file).expect("the file");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let row = reader.get_row_iter(None).expect("rows").nth(1).expect("a row").expect("a row");
    let columns: Vec<String> =
        row.get_column_iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    for expected in [
        "flag=Bool(true)",
        "n=Int(-2)",
        "f8=Double(0.2857142857142857)",
        "Day=Date(-29)",
        "words=Str(\"{x,NULL,2}\")",
        "name=Str(\"näme2\")",
        "odd_money=Str(\"2.00\")",
        "zoned=TimestampMicros(1774744234000000)",
    ] {
        assert!(columns.iter().any(|column| column == expected), "{expected}: {columns:#?}");
    }

    archive::import(&db.target, "archive-kinds").await.expect("to read it again");
    let back = archive::Restore { name: "back".into(), of: "archive-kinds".into(), condition: None };
    carry_out(&db, &archive::restore(&db.target, &back).await.expect("the way back")).await;
    assert_eq!(value::<String>(&db, &sum.replace("{}", table)).await, before);
    std::fs::remove_dir_all(&folder).expect("to clean up");
}
