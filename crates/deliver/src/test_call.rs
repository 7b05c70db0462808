//! One call to an endpoint to see whether it works: what a delivery would send, to where it would send it.
//!
//! Not for: guards and pauses, which it passes by, or attempts that are recorded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthaste_base::{Code, Error, Result};
use posthaste_broker::{Broker, Endpoint as Declared, EndpointKind, Message};
use posthaste_observe::TraceParent;

use crate::attempt::{Called, called, composed, trace};
use crate::function::{answered, composed_batch, verdict};
use crate::gate::Destination;
use crate::verdict::{ANSWER_BYTES_MAX, named_as_failed};
use crate::{Client, Endpoint, Request};

/// What came of it.
#[derive(Clone, Debug)]
pub struct TestCall {
    pub status: Option<u16>,
    pub latency_ms: u32,
    /// Why a message would not be done by such an answer: code and message.
    pub failure: Option<(String, String)>,
    pub response: Vec<u8>,
}

/// Calls an endpoint with a payload as if it were that of an event of the type `posthaste.test`.
pub async fn test_call(
    broker: &Broker,
    client: &Client,
    declared: &Arc<Declared>,
    payload: Bytes,
) -> Result<TestCall> {
    // Their loss is said here, and not only in the log.
    broker.open_secrets(&declared.name, &declared.secrets)?;
    let endpoint = Endpoint::parse(&declared.url)?;
    let destination = Destination::new(broker, declared, None);
    let now = broker.clock().now();
    let message = Message::of_test(payload, now);
    let timeout = Duration::from_millis(declared.settings.timeout_ms.into());
    let called = match declared.kind {
        EndpointKind::Webhook => {
            let traceparent = trace(&message).map(TraceParent::child);
            let (body, headers) = composed(&destination, &message, traceparent, now);
            let request = Request { endpoint: &endpoint, body, headers, timeout };
            called(client.post(request).await, now.as_millisecond())
        }
        EndpointKind::Function => {
            let (body, headers) = composed_batch(&destination, &[&message], None, now).map_err(|error| {
                Error::new(Code::Internal, "the call could not be written").caused_by(error)
            })?;
            let request = Request { endpoint: &endpoint, body, headers, timeout };
            let answer = client.keeping(ANSWER_BYTES_MAX).post(request).await;
            let mut called = answered(answer, now.as_millisecond());
            if !verdict(&mut called, &[message.id]).is_empty() {
                called.failure = Some(named_as_failed());
            }
            called
        }
    };
    let Called { status, latency_ms, failure, response, .. } = called;
    let failure = failure.map(|failure| (failure.code.into_owned(), failure.message));
    Ok(TestCall { status, latency_ms, failure, response })
}
