//! The example of docs/library.md, as it stands there, with messages from SQL.

#[expect(dead_code, reason = "its `main` is for the example itself")]
#[path = "../../examples/consumer.rs"]
mod consumer;

use tokio_util::sync::CancellationToken;

use super::Shop;

#[tokio::test]
async fn the_example_receives_extends_gives_back_and_settles() {
    let shop = Shop::open().await;
    for n in 1..=3 {
        shop.call(&format!("send('inbox', '{n}')")).await.unwrap();
    }
    let broker = consumer::open(&shop.db.url).await.expect("a broker");
    let stop = CancellationToken::new();
    let mut seen = Vec::new();
    let consumed = consumer::consume(&broker, "inbox", &stop, async |message| {
        seen.push(String::from_utf8(message.payload.to_vec()).unwrap());
        if seen.len() == 3 {
            stop.cancel();
        }
        message.payload != "2"
    });
    consumed.await.expect("it ends when it is told to");
    seen.sort();
    assert_eq!(seen, ["1", "2", "3"]);
    let depth = shop.broker.depth("inbox").await.unwrap();
    assert_eq!((depth.visible, depth.in_flight, depth.delayed), (0, 0, 1), "the second was given back");
}
