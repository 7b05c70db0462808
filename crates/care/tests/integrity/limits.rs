//! What cannot be looked at is said, and everything else is looked at all the same.

use posthaste_care::integrity::{Kind, Options, Rules};
use posthaste_report::Confidence;
use posthaste_testkit::db::TestDb;

use super::score::{check, run, score};
use super::techshop::techshop;

const EXPECTED: &str = include_str!("../../../../examples/techshop/expected.toml");
const FAULTS: &str = include_str!("../../../../examples/techshop/faults.sql");

fn codes(outcome: &posthaste_care::integrity::Outcome) -> Vec<String> {
    let table = |finding: &posthaste_report::Finding| finding.object.table.clone().unwrap_or_default();
    outcome.report.findings.iter().map(|finding| format!("{} {}", finding.code, table(finding))).collect()
}

fn skipped(outcome: &posthaste_care::integrity::Outcome) -> String {
    let lines = outcome.report.skipped.iter().map(|skipped| format!("{}: {}\n", skipped.what, skipped.why));
    lines.collect()
}

#[tokio::test]
async fn numbers_are_the_same_however_small_the_pieces_are() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    score(&check(&db, &Options { piece_blocks: 1, rest: 0.0, ..Options::default() }).await, EXPECTED);
}

#[tokio::test]
async fn what_is_read_by_choice_in_part_is_called_an_estimate() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    let options = Options { sample_percent: Some(100.0), ..Options::default() };
    let outcome = check(&db, &options).await;
    score(&outcome, EXPECTED);
    for finding in &outcome.report.findings {
        assert!(finding.message.starts_with("about "), "{}", finding.message);
        assert!(finding.evidence.iter().any(|evidence| evidence.text.contains("an estimate")), "{finding:?}");
        assert_ne!(finding.confidence, Confidence::Certain);
    }
}

#[tokio::test]
async fn table_behind_a_lock_is_skipped_and_the_others_are_not() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    let mut session = db.pool.get().await.expect("a connection");
    let lock = session.transaction().await.expect("a transaction");
    lock.batch_execute("lock table products in access exclusive mode").await.expect("the lock");
    let outcome = check(&db, &Options { lock_timeout_ms: 100, ..Options::default() }).await;
    lock.rollback().await.expect("the end");
    let found = codes(&outcome);
    assert!(found.contains(&"orphans orders".to_owned()), "{found:?}");
    assert!(found.contains(&"total-differs orders".to_owned()), "{found:?}");
    assert!(!found.iter().any(|finding| finding.ends_with("products")), "{found:?}");
    let skipped = skipped(&outcome);
    assert!(skipped.contains("`public.products`"), "{skipped}");
    assert!(skipped.contains("another session holds a lock on it"), "{skipped}");
}

#[tokio::test]
async fn role_without_rights_sees_what_it_may_and_is_told_of_the_rest() {
    let db = techshop().await;
    run(&db, FAULTS).await;
    run(
        &db,
        "do $$ begin create role posthaste_clerk; exception when duplicate_object or unique_violation then null; end $$;
         grant usage on schema public to posthaste_clerk;
         grant select on products, categories to posthaste_clerk;
         create table private (id int primary key, stock int);
         grant select on private to posthaste_clerk;
         insert into private select i, -1 from generate_series(1, 3) as i;
         insert into private select i, 1 from generate_series(4, 100) as i;
         alter table private enable row level security",
    )
    .await;
    let mut weak = TestDb { url: db.url.clone(), target: db.target.clone(), pool: db.pool.clone() };
    weak.target = db.target.clone().with_settings(&[("role", "posthaste_clerk")]);
    let outcome = check(&weak, &Options::default()).await;
    let found = codes(&outcome);
    assert!(found.contains(&"negative-value products".to_owned()), "{found:?}");
    assert!(found.contains(&"orphans products".to_owned()), "{found:?}");
    assert!(
        !found.iter().any(|finding| finding.ends_with("private")),
        "rows that policies hide are not counted: {found:?}"
    );
    let skipped = skipped(&outcome);
    for table in ["public.orders", "public.private"] {
        assert!(
            skipped.lines().any(|line| line.contains(table) && line.contains("may not read")),
            "{table}: {skipped}"
        );
    }
}

#[tokio::test]
async fn one_check_that_fails_takes_no_other_with_it() {
    let db = techshop().await;
    run(
        &db,
        "update products set stock_quantity = -1 where id = 5;
         create function boom(numeric) returns boolean language plpgsql as $$ begin raise exception 'boom'; end $$;
         alter table products add constraint explodes check (boom(price)) not valid",
    )
    .await;
    let outcome = check(&db, &Options::default()).await;
    assert_eq!(codes(&outcome), ["negative-value products"]);
    assert!(
        skipped(&outcome).contains("check-violated of `public.products` (price): boom"),
        "{}",
        skipped(&outcome)
    );
}

#[tokio::test]
async fn statement_that_takes_too_long_is_given_up_and_the_others_go_on() {
    let db = techshop().await;
    let text = "[[rule]]\nname = \"slow\"\nsql = \"select pg_sleep(60)\"\n[[rule]]\nname = \"quick\"\nsql = \"select 1\"\n";
    let rules = vec![Rules::parse("r.toml", text).expect("rules")];
    let options =
        Options { rules, kinds: vec![Kind::Rules], statement_timeout_ms: 300, ..Options::default() };
    let outcome = check(&db, &options).await;
    assert_eq!(codes(&outcome), ["rule-broken "]);
    assert!(
        skipped(&outcome).contains("rule `slow`: one statement took longer than 300 ms"),
        "{}",
        skipped(&outcome)
    );
}

#[tokio::test]
async fn connection_that_ends_in_the_middle_is_said_with_what_was_found_before() {
    let db = techshop().await;
    run(&db, "update products set stock_quantity = -1 where id = 5").await;
    let text = "[[rule]]\nname = \"end\"\nsql = \"select pg_terminate_backend(pg_backend_pid())\"\n\
                [[rule]]\nname = \"late\"\nsql = \"select 1\"\n";
    let rules = vec![Rules::parse("r.toml", text).expect("rules")];
    let outcome = check(&db, &Options { rules, ..Options::default() }).await;
    assert_eq!(codes(&outcome), ["negative-value products"]);
    assert!(skipped(&outcome).contains("rule `late`"), "{}", skipped(&outcome));
}

#[tokio::test]
async fn data_of_an_empty_database_is_true() {
    let db = TestDb::empty().await;
    let outcome = check(&db, &Options::default()).await;
    assert_eq!((outcome.report.findings.len(), outcome.report.skipped.len()), (0, 0));
}
