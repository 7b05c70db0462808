//! The schema: upgraded by a newer node while an older one works, and refused when another build made it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use posthaste_base::Code;
use posthaste_broker::{EventIn, Payload};
use posthaste_store::schema::{self, MIGRATIONS, Migration};
use posthaste_testkit::db::TestDb;

use super::Shop;

/// What the next release might bring: it adds, and it replaces a function that is in use.
const NEXT: &str = "
    alter table posthaste.event add column note text;
    alter table posthaste.dead_letter add column note text not null default '';
    alter table posthaste.queue add column note text;
    create table posthaste.note (id bigint primary key);
    create or replace function posthaste.wake(payload text) returns void language plpgsql
        as $$ begin perform pg_notify('posthaste', payload); end $$;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_works_on_while_a_newer_one_upgrades_the_schema() {
    let shop = Shop::open().await;
    let accepted = AtomicUsize::new(0);
    let (is_over, has_all) = (AtomicBool::new(false), AtomicBool::new(false));
    let publish = async {
        while !is_over.load(Ordering::Relaxed) {
            let n = accepted.load(Ordering::Relaxed);
            let text = format!(r#"{{"orderId": "{n}", "amount": 1}}"#);
            let event = EventIn {
                event_type: Some("order".into()),
                ..EventIn::of(Payload::json(text.into()).unwrap())
            };
            shop.broker.publish(event).await.expect("accepted, whatever the schema does");
            accepted.fetch_add(1, Ordering::Relaxed);
        }
        has_all.store(true, Ordering::Relaxed);
    };
    let consume = async {
        let mut settled = 0;
        while !has_all.load(Ordering::Relaxed) || settled < accepted.load(Ordering::Relaxed) {
            let messages = shop.broker.receive("inbox", 100, None, Duration::ZERO).await.expect("messages");
            settled += messages.len();
            let receipts: Vec<_> = messages.iter().map(|message| message.receipt).collect();
            shop.broker.settle(receipts).await.expect("settled");
        }
        settled
    };
    let newer = [MIGRATIONS, &[Migration { version: 2, name: "next", text: NEXT }]].concat();
    let upgrade = async {
        // Somebody reads for a while, so that the first tries get no lock.
        let reader = shop.db.pool.get().await.unwrap();
        reader.batch_execute("begin; select count(*) from posthaste.event").await.unwrap();
        let pool = shop.db.pool.clone();
        let upgrade = tokio::spawn(async move { schema::upgrade_to(&pool, &newer).await });
        while accepted.load(Ordering::Relaxed) < 50 {
            tokio::task::yield_now().await;
        }
        assert!(!upgrade.is_finished(), "the reader is in its way");
        reader.batch_execute("commit").await.unwrap();
        let state = upgrade.await.unwrap().expect("an upgrade");
        let before = accepted.load(Ordering::Relaxed);
        while accepted.load(Ordering::Relaxed) < before + 50 {
            tokio::task::yield_now().await;
        }
        is_over.store(true, Ordering::Relaxed);
        state
    };
    let ((), settled, state) = tokio::join!(publish, consume, upgrade);
    assert_eq!((state.version, state.pending.len()), (2, 0));
    assert_eq!(settled, accepted.load(Ordering::Relaxed), "each message came once");
    let refused = schema::check(&shop.db.pool).await.unwrap_err();
    assert_eq!(refused.code(), Code::SchemaTooNew, "one that starts now has to be the newer one");
}

#[tokio::test]
async fn a_schema_that_another_build_made_is_refused_by_its_text() {
    let db = TestDb::empty().await;
    let text = format!("{}\n-- an earlier build\n", MIGRATIONS[0].text);
    let earlier = [Migration { text: text.leak(), ..MIGRATIONS[0] }];
    schema::upgrade_to(&db.pool, &earlier).await.expect("a schema");
    for error in [
        schema::check(&db.pool).await.unwrap_err(),
        schema::state(&db.pool).await.unwrap_err(),
        schema::upgrade(&db.pool).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::SchemaDiffers);
        assert!(
            error.message().starts_with("the migration 0001_ground was applied with another text"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn who_applies_the_printed_migrations_has_the_schema_of_an_upgrade() {
    let db = TestDb::empty().await;
    db.pool.get().await.unwrap().batch_execute(&schema::script()).await.expect("the script");
    schema::check(&db.pool).await.expect("up to date");
    assert_eq!(schema::upgrade(&db.pool).await.expect("nothing to do").pending, Vec::<String>::new());
}
