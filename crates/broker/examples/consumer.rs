//! A consumer that shares the database with the nodes: it receives, extends, settles and gives back, without HTTP.
//!
//! `cargo run -p posthaste-broker --example consumer -- postgres://localhost/posthaste inbox`. Not for: making the schema
//! or the queue, which a node does (`posthaste serve`, `posthaste.toml`).

use std::time::Duration;

use posthaste_base::{Clock, Result};
use posthaste_broker::{Broker, BrokerOptions, Message, Pool, SESSION_SETTINGS, Target, schema};
use tokio_util::sync::CancellationToken;

/// A broker over the database that the nodes use.
pub(crate) async fn open(url: &str) -> Result<Broker> {
    let settings = [SESSION_SETTINGS, &[("statement_timeout", "60s")]].concat();
    let pool = Pool::connect(Target::parse(url)?.with_settings(&settings), 4).await?;
    schema::check(&pool).await?;
    Broker::open(pool, BrokerOptions::default(), Clock::system()).await
}

/// Consumes until it is told to stop; `work` says for each message whether it is done.
pub(crate) async fn consume(
    broker: &Broker,
    queue: &str,
    stop: &CancellationToken,
    mut work: impl AsyncFnMut(&Message) -> bool,
) -> Result<()> {
    // Hears what is sent elsewhere, so that `receive` need not look for it.
    let listener = tokio::spawn({
        let (broker, stop) = (broker.clone(), stop.clone());
        async move { broker.run_listener(stop).await }
    });
    while !stop.is_cancelled() {
        let received = broker.receive(queue, 10, None, Duration::from_secs(20));
        let Some(messages) = stop.run_until_cancelled(received).await else { break };
        for message in messages? {
            // The work may take longer than the lease of the batch: a minute more for this one. If that has run out, the
            // message comes again.
            if let Err(error) = broker.extend(message.receipt, 60).await {
                eprintln!("message {}: {error}", message.id);
                continue;
            }
            let receipts = vec![message.receipt];
            let answers = match work(&message).await {
                true => broker.settle(receipts).await?,
                false => broker.give_back(receipts, 5).await?,
            };
            // A lease that ran out before the end: the message comes again, to whoever receives it next.
            if let Some(Err(error)) = answers.into_iter().next() {
                eprintln!("message {}: {error}", message.id);
            }
        }
    }
    stop.cancel();
    let _ = listener.await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(queue)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: consumer URL QUEUE");
        std::process::exit(2);
    };
    let broker = open(&url).await?;
    let stop = CancellationToken::new();
    consume(&broker, &queue, &stop, async |message| {
        println!("{} {}", message.id, String::from_utf8_lossy(&message.payload));
        true
    })
    .await
}
