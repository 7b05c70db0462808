//! Applications that call from SQL under a role of their own, which owns nothing here.

use posthaste_testkit::db::TestDb;

use super::Shop;

async fn run(db: &TestDb, statements: &str) -> Result<(), String> {
    let session = db.pool.get().await.unwrap();
    let done = session.batch_execute(&format!("begin; {statements}; commit")).await;
    session.batch_execute("rollback").await.unwrap();
    done.map_err(|error| error.as_db_error().expect("the server's answer").message().to_owned())
}

/// The grants are those of docs/sql.md.
#[tokio::test]
async fn a_role_that_owns_nothing_publishes_and_sends_once_it_may_call() {
    let shop = Shop::open().await;
    let role = format!("app_of_{}", shop.db.target.database());
    run(&shop.db, &format!("drop role if exists {role}; create role {role}")).await.unwrap();
    let publish = r#"select posthaste.publish('order', '{"orderId": "a", "amount": 1}', due_at => now())"#;
    let calls = format!(
        "set local role {role}; {publish}; select posthaste.send('inbox', '1'); select posthaste.send('inbox', '2', 60)"
    );
    let refused = run(&shop.db, &calls).await.unwrap_err();
    assert_eq!(refused, "permission denied for schema posthaste");
    run(&shop.db, &format!("grant usage on schema posthaste to {role}")).await.unwrap();
    assert_eq!(run(&shop.db, &calls).await.unwrap_err(), "permission denied for function publish");
    run(&shop.db, &format!("grant execute on function posthaste.publish, posthaste.send to {role}"))
        .await
        .unwrap();
    run(&shop.db, &calls).await.unwrap();
    assert_eq!((shop.take_up().await, shop.receive("inbox").await.len()), (1, 2));

    let read = format!("set local role {role}; select from posthaste.event");
    assert_eq!(run(&shop.db, &read).await.unwrap_err(), "permission denied for table event");
    run(&shop.db, &format!("drop owned by {role}; drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn nothing_of_the_callers_own_is_run_with_the_owners_rights() {
    let shop = Shop::open().await;
    let trap = r#"
        create schema trap;
        create function trap.sha256(bytea) returns bytea language plpgsql
            as 'begin raise exception ''trapped''; end';
        create function trap.octet_length(text) returns integer language plpgsql
            as 'begin raise exception ''trapped''; end'
    "#;
    run(&shop.db, trap).await.unwrap();
    let calls = r#"set local search_path = trap, pg_catalog;
        select posthaste.publish('order', '{"orderId": "a", "amount": 1}'); select posthaste.send('inbox', '1')"#;
    run(&shop.db, calls).await.unwrap();
    let trapped = run(&shop.db, "set local search_path = trap, pg_catalog; select sha256('')").await;
    assert_eq!(trapped.unwrap_err(), "trapped", "the trap works");
}
