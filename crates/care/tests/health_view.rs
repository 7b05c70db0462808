//! The views for dashboards: right names, numbers that are numbers, and no wait behind a lock.

use posthaste_care::health_view;
use posthaste_report::RunState;
use posthaste_runner::RunOptions;
use posthaste_testkit::db::TestDb;

#[tokio::test]
async fn views_are_made_twice_and_read_beside_a_lock() {
    let db = TestDb::empty().await;
    let session = db.pool.get().await.expect("a connection");
    let schema =
        "create schema \"Fleet\"; create table \"Fleet\".\"Big Ships\" (id int primary key, name text);
        insert into \"Fleet\".\"Big Ships\" select i, repeat('x', 100) from generate_series(1, 1000) as i";
    session.batch_execute(schema).await.expect("a schema");
    session.batch_execute("vacuum analyze \"Fleet\".\"Big Ships\"").await.expect("statistics");
    for _ in 0..2 {
        let run = posthaste_runner::run(
            &db.target,
            &health_view::plan("My \"health\""),
            RunOptions::default(),
            |_| (),
        )
        .await;
        assert_eq!(run.expect("the views").state, RunState::Done);
    }
    let lock = "begin; lock table \"Fleet\".\"Big Ships\" in access exclusive mode";
    session.batch_execute(lock).await.expect("a lock");
    let reader = db.pool.get().await.expect("a connection");
    let sql = "select section, value::float8, unit from \"My \"\"health\"\"\".db_health_summary
        where schema_name = 'Fleet' and table_name = 'Big Ships' order by section";
    let rows = reader.query(sql, &[]).await.expect("the view");
    let rows: Vec<(String, f64, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let sections: Vec<&str> = rows.iter().map(|(section, _, _)| section.as_str()).collect();
    assert_eq!(sections, ["Dead Tuples", "Last Vacuum", "Table Sizes"]);
    assert!(rows[2].1 > 100_000.0 && rows[2].2 == "bytes", "{rows:?}");
}
