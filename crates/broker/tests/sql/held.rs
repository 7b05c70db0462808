//! Senders in SQL that leave their transactions open: what they hold up, and what they do not.

use posthaste_base::{Code, Error};
use posthaste_broker::{EventIn, Payload};

use super::Shop;

const HELD: usize = 7;

fn order(n: usize) -> EventIn {
    let text = format!(r#"{{"orderId": "{n}", "amount": 1}}"#);
    EventIn { event_type: Some("order".into()), ..EventIn::of(Payload::json(text.into()).unwrap()) }
}

fn check_held(error: &Error) {
    assert_eq!((error.code(), error.field_name()), (Code::KeyInUse, Some("key")));
    assert_eq!(error.retry_after_seconds(), Some(1));
    assert!(error.message().starts_with("another transaction that is still open holds the key `"), "{error}");
}

#[tokio::test]
async fn an_open_transaction_holds_up_nobody_but_those_with_its_key() {
    let shop = Shop::open().await;
    for end in ["commit", "rollback"] {
        let first = if end == "commit" { 0 } else { 100 };
        let key = first + HELD;
        let sender = shop.db.pool.get().await.unwrap();
        let publish = format!(r#"select posthaste.publish('order', '{{"orderId": "{key}", "amount": 1}}')"#);
        sender.batch_execute(&format!("begin; {publish}")).await.unwrap();

        let together: Vec<_> = (first..first + 40).map(order).collect();
        let answers = shop.broker.publish_batch(together).await.expect("the others are accepted");
        for (n, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(accepted) => assert!(n != HELD && !accepted.duplicate, "{n}"),
                Err(error) => {
                    check_held(&error);
                    assert_eq!(n, HELD);
                }
            }
        }
        check_held(&shop.broker.publish(order(key)).await.unwrap_err());

        sender.batch_execute(end).await.unwrap();
        let again = shop.broker.publish(order(key)).await.expect("nothing holds it any more");
        assert_eq!(again.duplicate, end == "commit", "{end}");
    }
}

/// Many held keys cost those that come with them, and after them, little more than one.
#[tokio::test]
async fn an_open_transaction_with_many_keys_holds_up_nobody_either() {
    let shop = Shop::open().await;
    let sender = shop.db.pool.get().await.unwrap();
    let publish = "select posthaste.publish('order', jsonb_build_object('orderId', n::text, 'amount', 1))
                   from generate_series(0, 299) n";
    sender.batch_execute(&format!("begin; {publish}")).await.unwrap();
    let answers = shop.broker.publish_batch((0..301).map(order).collect()).await.unwrap();
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((accepted, answers.len()), (1, 301));
    answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(check_held);
    sender.batch_execute("commit").await.unwrap();
}
