//! A schema is copied to a throw-away server.

use posthaste_change::scratch::{Scratch, run_script, schema_of};
use posthaste_pg::Pool;
use posthaste_testkit::db::TestDb;

const SCHEMA: &str = r#"
    create schema "Odd Name";
    create type "Odd Name".mood as enum ('good', 'bad');
    create table "Odd Name"."Order" (id bigint generated always as identity primary key, mood "Odd Name".mood not null);
    create index on "Odd Name"."Order" (mood) where mood = 'bad';
    create function public.twice(int) returns int language sql immutable as 'select $1 * 2';
"#;

#[tokio::test]
async fn a_schema_is_copied_whole_and_without_rows() {
    let db = TestDb::empty().await;
    run_script(&db.target, SCHEMA).await.expect("a valid script");
    run_script(&db.target, r#"insert into "Odd Name"."Order" (mood) values ('good')"#).await.expect("a row");
    let schema = schema_of(&db.target, None).await.expect("pg_dump is here");

    let scratch = Scratch::start(None).await.expect("a throw-away server");
    let copy = scratch.load(&schema).await.expect("the schema is whole");
    let pool = Pool::connect(copy.clone(), 1).await.expect("it is there");
    let rows: i64 = {
        let connection = pool.get().await.expect("a connection");
        connection
            .query_one(r#"select count(*) from "Odd Name"."Order""#, &[])
            .await
            .expect("the table")
            .get(0)
    };
    assert_eq!(rows, 0);
    let again = schema_of(&copy, None).await.expect("the copy can be dumped");
    assert_eq!(again, schema);
    drop(pool);
    scratch.remove().await.expect("it stops");
}
