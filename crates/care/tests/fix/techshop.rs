//! The shop is mended, and comes back to the byte.

use posthaste_care::fix;
use posthaste_testkit::db::TestDb;

use super::carry_out::{carry_out, check, plan, rows, run, value};

const SCHEMA: &str = include_str!("../../../../examples/techshop/schema.sql");
const DATA: &str = include_str!("../../../../examples/techshop/data.sql");
const FAULTS: &str = include_str!("../../../../examples/techshop/faults.sql");
const TABLES: [&str; 5] = ["customers", "categories", "products", "orders", "order_items"];

async fn broken_shop() -> TestDb {
    let db = TestDb::empty().await;
    run(&db, SCHEMA).await;
    run(&db, &format!("set techshop.scale = '0.01'; {DATA}; reset techshop.scale; analyze;")).await;
    run(&db, FAULTS).await;
    db
}

async fn all(db: &TestDb) -> Vec<String> {
    let mut all = Vec::new();
    for table in TABLES {
        all.push(rows(db, table).await);
    }
    all
}

const POLICIES: &[&str] = &[
    "orphans=set-null",
    "orphans@public.order_items=quarantine",
    "negatives=clamp",
    "totals=recompute",
    "constraints=add",
];

#[tokio::test]
async fn without_a_policy_everything_is_shown_and_nothing_is_changed() {
    let db = broken_shop().await;
    let plan = plan(&db, &[]).await;
    assert_eq!(plan.steps().count(), 0, "{plan:?}");
    assert_eq!(
        plan.notes.iter().filter(|note| note.starts_with("Left as it is")).count(),
        16,
        "{:#?}",
        plan.notes
    );
}

#[tokio::test]
async fn shop_is_mended_and_what_nobody_may_guess_is_left() {
    let db = broken_shop().await;
    let mut policies = POLICIES.to_vec();
    policies.push("duplicates=rename");
    let plan = plan(&db, &policies).await;
    let phases: Vec<&str> = plan.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["prepare", "clean", "constraints", "indexes", "space", "verify"]);
    carry_out(&db, &plan).await;

    let left: Vec<String> = check(&db)
        .await
        .report
        .findings
        .iter()
        .map(|f| format!("{} {:?}", f.code, f.object.columns))
        .collect();
    assert_eq!(
        left,
        [
            "time-in-future [\"order_date\"]",
            "times-out-of-order [\"order_date\", \"shipped_at\"]",
            "times-out-of-order [\"created_at\", \"updated_at\"]",
            "value-blank [\"name\"]",
            "value-missing [\"name\"]",
            "value-missing [\"price\"]",
            "value-missing [\"sku\"]",
            "variants [\"email\"]",
        ]
    );
    assert_eq!(
        value::<i64>(&db, "select count(*) from posthaste_quarantine.\"public.order_items\"").await,
        15
    );
    let renamed: Vec<String> =
        value(&db, "select array_agg(email::text order by id) from customers where email like '%duplicate%'")
            .await;
    assert_eq!(renamed, ["customer7+duplicate-501@example.com", "customer42+duplicate-502@example.com"]);
    // The index finds what the heap holds, and a new duplicate is refused.
    assert_eq!(
        value::<i64>(&db, "select count(*) from customers where email = 'customer7@example.com'").await,
        1
    );
    let refused = db.pool.get().await.expect("a connection");
    let error = refused
        .execute("update products set stock_quantity = -1 where id = 5", &[])
        .await
        .expect_err("a CHECK");
    assert_eq!(error.code().map(|code| code.code()), Some("23514"));
}

#[tokio::test]
async fn what_was_mended_comes_back_to_the_byte() {
    let db = broken_shop().await;
    let before = all(&db).await;
    carry_out(&db, &plan(&db, &POLICIES[..4]).await).await;
    assert_ne!(all(&db).await, before);
    let kept = fix::kept(&db.target).await.expect("what is kept");
    assert_eq!((kept[0].plan.as_str(), kept[0].rows, kept[0].taken_back), ("mend-1", 15 + 4 + 7 + 3 + 66, 0));

    let mut steps = 0;
    fix::take_back(&db.target, "mend-1", |_| steps += 1).await.expect("to take it back");
    assert_eq!(steps, 5);
    assert_eq!(all(&db).await, before);
    assert_eq!(
        value::<i64>(&db, "select count(*) from posthaste_quarantine.\"public.order_items\"").await,
        0
    );
    let error = fix::take_back(&db.target, "mend-1", |_| ()).await.expect_err("nothing is left to take back");
    assert!(error.message().contains("no rows are kept"), "{error:?}");
}

#[tokio::test]
async fn rows_that_were_changed_since_are_named_and_nothing_comes_back() {
    let db = broken_shop().await;
    carry_out(&db, &plan(&db, &["negatives=clamp"]).await).await;
    run(&db, "update products set stock_quantity = 12 where id = 302").await;
    let now = rows(&db, "products").await;
    let error = fix::take_back(&db.target, "mend-1", |_| ()).await.expect_err("a changed row");
    assert!(error.message().contains("were changed since, such as (302)"), "{error:?}");
    assert_eq!(rows(&db, "products").await, now);
}

#[tokio::test]
async fn table_with_other_columns_is_not_written_to() {
    let db = broken_shop().await;
    carry_out(&db, &plan(&db, &["negatives=clamp"]).await).await;
    run(&db, "alter table products add column note text").await;
    let error = fix::take_back(&db.target, "mend-1", |_| ()).await.expect_err("another column");
    assert!(error.message().contains("columns of public.products have changed"), "{error:?}");
}
