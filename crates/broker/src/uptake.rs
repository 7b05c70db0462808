//! Taking up events that were published from SQL, in their senders' own transactions: no node has seen them before
//! they are due, so they are checked then, as the others are when they are handed in.
//!
//! One that is not valid becomes a dead letter, with all that is wrong with it, and no message. A redrive has it
//! checked again. Not for: what SQL itself refuses (see `posthaste.publish` in the schema).

use std::collections::HashMap;

use posthaste_base::{Category, Error, EventId, MessageId, Priority, QueueId, Result, ScheduleId};
use posthaste_observe::{CorrelationId, Source, correlation};
use posthaste_store::Session;
use posthaste_store::event::{self, EventRow, Refused};
use uuid::Uuid;

use crate::transact::Abort;
use crate::{Broker, Catalog, Payload, finish, route};

/// Longer causes are cut: a payload may be wrong in thousands of places.
const CAUSE_CHARS_MAX: usize = 8_000;

/// Which of the due events from SQL are not valid, and why. An error that is not about an event ends it.
pub(crate) async fn check(broker: &Broker, due: &[EventRow]) -> Result<HashMap<Uuid, Error>> {
    let mut refused = HashMap::new();
    for row in due.iter().filter(|row| row.is_unchecked) {
        // Read anew for each: a topic made for the one before is there for the next.
        let catalog = broker.catalog();
        let checked = match Payload::json(row.payload.clone()) {
            Ok(payload) => broker.check_content(&catalog, &row.event_type, &payload).await,
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) if route::is_domain_event(&row.event_type) => broker.count_accepted(Source::Domain, 1),
            Ok(()) => broker.count_accepted(Source::Sql, 1),
            Err(error) if error.code().http_status() >= 500 => return Err(error),
            Err(error) => drop(refused.insert(row.id, error)),
        }
    }
    Ok(refused)
}

/// Writes the dead letters of refused events, in the transaction that takes them up.
pub(crate) async fn refuse_in(
    session: &Session,
    broker: &Broker,
    due: &[EventRow],
    refused: &HashMap<Uuid, Error>,
) -> Result<(), Abort> {
    if refused.is_empty() {
        return Ok(());
    }
    let catalog = broker.catalog();
    let mut rows = Vec::with_capacity(refused.len());
    for row in due {
        let Some(error) = refused.get(&row.id) else { continue };
        let queue = queue_of(&catalog, row)?;
        log_refused(row, error);
        broker.count_refused(error.code());
        broker.count_dead(queue, Category::Validation);
        rows.push(Refused {
            id: row.id,
            queue_id: queue.0,
            code: error.code().as_str(),
            error: cause(error),
            tracked: finish::tracked(&catalog, row.schedule_id.map(ScheduleId), &row.event_type),
        });
    }
    let letters = event::refuse(session, &rows).await?;
    let tracked = |event: &Uuid| rows.iter().any(|row| row.id == *event && row.tracked);
    let outcomes: Vec<_> = letters
        .iter()
        .filter(|(event, _)| tracked(event))
        .map(|(event, message)| finish::Outcome {
            event_id: EventId(*event),
            message_id: MessageId(*message),
            failed: true,
        })
        .collect();
    // A finished event may publish another one, hence the box.
    Box::pin(finish::finish_in(session, broker, &outcomes)).await
}

/// With the sender's correlation id, by which they look for it.
fn log_refused(row: &EventRow, error: &Error) {
    let stored = row.correlation_id.as_deref().map(CorrelationId::of_stored);
    let _entered = stored.and_then(|id| CorrelationId::parse(id.as_bytes())).map(correlation::enter);
    tracing::warn!(
        event.id = %row.id,
        code = %error.code(),
        "event `{}` from SQL is not valid and goes to the dead letter queue", row.id
    );
}

/// The queue whose dead letter queue takes a refused event: the first that it was meant for, or else the one of its
/// priority.
fn queue_of(catalog: &Catalog, row: &EventRow) -> Result<QueueId> {
    let priority = Priority::from_rank(row.priority).unwrap_or(Priority::Low);
    match catalog.queues_of(&row.event_type, priority).first() {
        Some(queue) => Ok(*queue),
        None => catalog.priority_queue(priority).map(|queue| queue.id),
    }
}

/// What is wrong, in one text: the message, then every violation with its JSON pointer.
fn cause(error: &Error) -> String {
    let mut text = error.message().to_owned();
    for violation in error.all_violations() {
        let pointer = if violation.pointer.is_empty() { "/" } else { violation.pointer.as_str() };
        text.push_str(&format!("; {pointer}: {}", violation.message));
    }
    match text.char_indices().nth(CAUSE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use posthaste_base::Code;
    use tracing::span;

    use super::*;

    /// Takes down which correlation id each line of the log would have.
    #[derive(Clone, Default)]
    struct Ids(Arc<Mutex<Vec<Option<String>>>>);

    impl tracing::Subscriber for Ids {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.lock().unwrap().push(correlation::current().map(|id| id.as_str().to_owned()));
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_refusal_is_logged_under_the_senders_correlation_id() {
        let row = |correlation_id: Option<&str>| EventRow {
            id: EventId::generate().0,
            key: "k".into(),
            payload_hash: Vec::new(),
            event_type: "order".into(),
            subject: None,
            priority: 3,
            due_at: None,
            schedule_id: None,
            correlation_id: correlation_id.map(str::to_owned),
            attributes: None,
            payload: Default::default(),
            fanout: 0,
            is_unchecked: true,
        };
        let ids = Ids::default();
        tracing::subscriber::with_default(ids.clone(), || {
            for stored in [Some("abc"), None] {
                log_refused(&row(stored), &Error::new(Code::InvalidPayload, "it is not valid"));
            }
        });
        assert_eq!(*ids.0.lock().unwrap(), [Some("abc".to_owned()), None]);
    }
}
