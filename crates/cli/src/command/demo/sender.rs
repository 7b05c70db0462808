//! The applications of the demonstration: one sends over HTTP, one from SQL in its own transactions.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use posthaste_base::{Code, Error};
use posthaste_deliver::{AddressPolicy, Client, ClientOptions, Endpoint, Request};
use posthaste_pg::{Pool, Transaction, TransactionOptions};
use serde_json::json;

use super::account::Account;
use super::cast::{Cast, Planned, Way};

const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct Sender {
    client: Client,
    events: Endpoint,
}

impl Sender {
    pub(super) fn new(node: SocketAddr) -> Result<Self, Error> {
        let policy = AddressPolicy::parse(&["127.0.0.0/8"])?;
        let client = Client::new(ClientOptions { policy, ..ClientOptions::default() })?;
        Ok(Self { client, events: Endpoint::parse(&format!("http://{node}/events"))? })
    }

    pub(super) async fn send_over_http(&self, cast: &Cast, account: &mut Account) -> anyhow::Result<()> {
        let events = cast.events.iter().filter(|event| matches!(event.way, Way::Http | Way::HttpAgain));
        for event in events {
            let status = self.post(event).await?;
            match (event.way, status) {
                (_, 202) => account.accepted(event),
                (_, status) => return Err(refused(event, &format!("HTTP {status}")).into()),
            }
        }
        Ok(())
    }

    async fn post(&self, event: &Planned) -> Result<u16, Error> {
        let mut envelope = json!({"type": event.event_type, "key": event.key, "payload": event.payload});
        if event.due_in_seconds > 0 {
            let due = jiff::Timestamp::now() + Duration::from_secs(event.due_in_seconds.into());
            envelope["dueAt"] = json!(due);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = envelope.to_string().into();
        let request = Request { endpoint: &self.events, body, headers, timeout: TIMEOUT };
        let answer = self.client.post(request).await;
        answer.status.ok_or_else(|| {
            let error = answer.transport_error.map_or_else(|| "no answer".to_owned(), |error| error.message);
            refused(event, &error)
        })
    }

    /// Writes an application's row and its event in one transaction; one of them is rolled back.
    pub(super) async fn send_from_sql(
        &self,
        cast: &Cast,
        pool: &Pool,
        account: &mut Account,
    ) -> anyhow::Result<()> {
        pool.get().await?.batch_execute(include_str!("../../../sql/demo/create_orders.sql")).await?;
        for event in cast.events.iter().filter(|event| matches!(event.way, Way::Sql | Way::SqlRolledBack)) {
            let transaction = Transaction::begin(pool, TransactionOptions::default()).await?;
            let amount = 42.5_f64;
            let insert = include_str!("../../../sql/demo/insert_order.sql");
            transaction.execute(insert, &[&event.key, &amount]).await?;
            let publish = include_str!("../../../sql/demo/publish.sql");
            transaction.query_one(publish, &[&event.event_type, &event.payload, &event.key]).await?;
            if event.way == Way::SqlRolledBack {
                transaction.roll_back().await;
                account.rolled_back(event);
            } else {
                transaction.commit().await?;
                account.accepted(event);
            }
        }
        Ok(())
    }
}

fn refused(event: &Planned, why: &str) -> Error {
    Error::new(Code::Unavailable, format!("the event {} was not accepted: {why}", event.key))
}
