//! Topics lead to queues and endpoints and never back to a topic, so that nothing goes round in a circle.

use posthaste_broker::{DOMAIN_EVENTS, Declaration};

use super::{SHOP, Shop};

#[tokio::test]
async fn what_is_said_of_events_is_not_an_event_of_which_more_is_said() {
    let shop = Shop::open().await;
    let mut rules =
        format!("{SHOP}\n[queues.told]\n[subscriptions.every]\ntopic = \"*\"\nqueue = \"told\"\n");
    for name in DOMAIN_EVENTS {
        rules.push_str(&format!("[subscriptions.{name}]\ntopic = \"{name}\"\nqueue = \"told\"\n"));
    }
    shop.broker.apply(&Declaration::parse(&rules).unwrap()).await.unwrap();
    shop.publish("'lonely', '1'").await;
    shop.publish("'lonely', '2', due_at => '2030-01-02T03:04:05Z'").await;
    for _ in 0..5 {
        shop.take_up().await;
        let receipts = shop.receive("told").await.into_iter().map(|message| message.receipt).collect();
        for settled in shop.broker.settle(receipts).await.unwrap() {
            settled.unwrap();
        }
    }
    let session = shop.db.pool.get().await.unwrap();
    let types = "select string_agg(e.type, ' ' order by e.type) from posthaste.event e";
    let types: String = session.query_one(types, &[]).await.unwrap().get(0);
    assert_eq!(types, "EventCompleted EventScheduled lonely lonely");
}

#[test]
fn a_subscription_cannot_lead_to_a_topic() {
    let loops = "[types.a]\n[types.b]\n[subscriptions.back]\ntopic = \"a\"\npublish = \"b\"\n";
    let errors = Declaration::parse(loops).unwrap_err();
    assert!(format!("{errors:?}").contains("publish"), "{errors:?}");
}
