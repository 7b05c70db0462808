//! What fronts get to see of dead letters.

use std::collections::BTreeMap;

use jiff::Timestamp;
use posthaste_base::{Code, DeadLetterId, Error, EventId, MessageId, RedriveId, Result};
use posthaste_store::dead::{Count, DeadLetter};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{AttemptOut, PayloadOut};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterOut {
    pub id: DeadLetterId,
    pub queue: String,
    pub message_id: MessageId,
    pub event_id: Option<EventId>,
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    pub subscription: Option<String>,
    pub endpoint: Option<String>,
    pub receives: i16,
    pub category: String,
    pub code: String,
    pub error: String,
    pub sent_at: Timestamp,
    pub died_at: Timestamp,
    /// The redrive that has taken it, and when it goes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redrive_id: Option<RedriveId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redrive_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
    /// Where one letter is shown or exported; lists go without.
    #[serde(flatten)]
    pub payload: Option<PayloadOut>,
    /// Where one letter is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptOut>>,
}

#[derive(Debug, Serialize)]
pub struct DeadPage {
    pub letters: Vec<DeadLetterOut>,
    /// The id after which the next page starts; none at the end.
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportPage {
    /// JSON lines: each letter a line, each line ended.
    pub lines: String,
    pub next: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadCountOut {
    pub queue: String,
    pub category: String,
    pub code: String,
    pub count: i64,
    /// The queue holds more than were counted.
    pub at_least: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiscardOut {
    pub discarded: u64,
}

impl DeadLetterOut {
    /// The letter as one line of JSON, with its end.
    pub(super) fn to_line(&self) -> Result<String> {
        let text = serde_json::to_string(self)
            .map_err(|error| Error::new(Code::Internal, "a dead letter is not JSON").caused_by(error))?;
        // A payload is written as it came, perhaps over several lines. In JSON those are white space only:
        // inside of strings they are escaped.
        let mut line = text.replace(['\n', '\r'], " ");
        line.push('\n');
        Ok(line)
    }
}

impl From<DeadLetter> for DeadLetterOut {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: DeadLetterId(letter.id),
            queue: letter.queue,
            message_id: MessageId(letter.message_id),
            event_id: letter.event_id.map(EventId),
            event_type: letter.event_type,
            subscription: letter.subscription,
            endpoint: letter.endpoint,
            receives: letter.receives,
            category: letter.category,
            code: letter.code,
            error: letter.error,
            sent_at: letter.sent_at,
            died_at: letter.died_at,
            redrive_id: letter.redrive_id.map(RedriveId),
            redrive_at: letter.redrive_at,
            attributes: letter.attributes.and_then(|text| RawValue::from_string(text).ok()),
            payload: letter.payload.as_deref().map(PayloadOut::of),
            attempts: None,
        }
    }
}

/// A queue of which `read_max` letters were read may hold more.
pub(super) fn counts(counts: Vec<Count>, read_max: i64) -> Vec<DeadCountOut> {
    let mut read: BTreeMap<&str, i64> = BTreeMap::new();
    for count in &counts {
        *read.entry(&count.queue).or_default() += count.letters;
    }
    let is_cut = |queue: &str| read.get(queue).is_some_and(|letters| *letters >= read_max);
    counts
        .iter()
        .map(|count| DeadCountOut {
            queue: count.queue.clone(),
            category: count.category.clone(),
            code: count.code.clone(),
            count: count.letters,
            at_least: is_cut(&count.queue),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_of_a_queue_that_was_not_read_whole_is_a_least_one() {
        let count = |queue: &str, letters| Count {
            queue: queue.into(),
            category: "TIMEOUT".into(),
            code: "timeout".into(),
            letters,
        };
        let out = counts(vec![count("a", 7), count("a", 3), count("b", 9)], 10);
        assert_eq!(out.iter().map(|one| one.at_least).collect::<Vec<_>>(), [true, true, false]);
    }
}
