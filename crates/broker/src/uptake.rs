//! Taking up events that were published from SQL, in their senders' own transactions: no node has seen them before
//! they are due, so they are checked then, as the others are when they are handed in.
//!
//! One that is not valid becomes a dead letter, with all that is wrong with it, and no message. A redrive has it
//! checked again. Not for: what SQL itself refuses (see `posthaste.publish` in the schema).

use std::collections::HashMap;

use posthaste_base::{Category, Error, EventId, MessageId, Priority, QueueId, Result, ScheduleId};
use posthaste_observe::Source;
use posthaste_store::Session;
use posthaste_store::event::{self, EventRow, Refused};
use uuid::Uuid;

use crate::transact::Abort;
use crate::{Broker, Catalog, Payload, finish};

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
        tracing::warn!(
            event.id = %row.id,
            code = %error.code(),
            "event `{}` from SQL is not valid and goes to the dead letter queue", row.id
        );
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
