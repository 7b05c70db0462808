//! Which dead letters a listing, a redrive or a discard is about, and what a filter may say.
//!
//! A filter with nothing in it selects all. Not for: filters of subscriptions (see the engine).

use jiff::Timestamp;
use posthaste_base::limits::{NAME_BYTES_MAX, REDRIVE_MESSAGES_MAX};
use posthaste_base::{Code, Error, Result};
use posthaste_store::dead::Selection;
use serde::{Deserialize, Serialize};

use crate::Catalog;

/// Ten years: nothing is kept longer, and the database can still subtract it from its clock.
const AGE_SECONDS_MAX: i64 = 3_653 * 24 * 3_600;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeadLetterFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// A category or an error code, without regard to case (requirements, decision 12).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// How long ago the message died, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age_seconds: Option<i64>,
    /// How long ago the message died, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i64>,
    /// Died at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Died before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// The event type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The endpoint's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Ids of dead letters (not of messages).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<i64>>,
}

impl DeadLetterFilter {
    /// One that selects these letters and no others.
    pub fn of_ids(ids: Vec<i64>) -> Self {
        Self { ids: Some(ids), ..Self::default() }
    }

    /// Says what is wrong with the filter in itself, by the name of the parameter.
    pub fn check(&self) -> Result<()> {
        for (name, age) in [("minAgeSeconds", self.min_age_seconds), ("maxAgeSeconds", self.max_age_seconds)]
        {
            if age.is_some_and(|age| !(0..=AGE_SECONDS_MAX).contains(&age)) {
                return Err(bad(name, format!("{} is out of range", age.unwrap_or_default()))
                    .expected(format!("0 to {AGE_SECONDS_MAX}")));
            }
        }
        if let (Some(min), Some(max)) = (self.min_age_seconds, self.max_age_seconds)
            && min > max
        {
            return Err(bad("minAgeSeconds", format!("{min} is above `maxAgeSeconds`, which is {max}")));
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(bad("from", format!("{from} is not before `to`, which is {to}")));
        }
        for (name, text) in [("errorType", &self.error_type), ("type", &self.event_type)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty() || text.len() > NAME_BYTES_MAX) {
                return Err(bad(name, "it is empty or too long")
                    .expected(format!("1 to {NAME_BYTES_MAX} characters")));
            }
        }
        if self.ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > REDRIVE_MESSAGES_MAX) {
            return Err(bad("ids", "there are none or too many")
                .expected(format!("1 to {REDRIVE_MESSAGES_MAX} ids of dead letters")));
        }
        Ok(())
    }

    /// The filter with names looked up, ready for the store.
    pub(crate) fn selection(&self, catalog: &Catalog) -> Result<Selection> {
        self.check()?;
        let queue = self.queue.as_deref().map(|name| catalog.queue(name)).transpose()?;
        let endpoint = self.endpoint.as_deref().map(|name| catalog.endpoint(name)).transpose()?;
        let ids = self.ids.clone().map(|mut ids| {
            ids.sort_unstable();
            ids.dedup();
            ids
        });
        Ok(Selection {
            queue_id: queue.map(|queue| queue.id.0),
            error_type: self.error_type.as_ref().map(|text| text.trim().to_lowercase()),
            event_type: self.event_type.clone(),
            endpoint_id: endpoint.map(|endpoint| endpoint.id.0),
            min_age_seconds: self.min_age_seconds,
            max_age_seconds: self.max_age_seconds,
            from: self.from,
            to: self.to,
            ids,
            only_free: false,
        })
    }
}

/// The limit of one call: what was asked for, or else `default`.
pub(crate) fn max_messages(asked: Option<i64>, default: usize) -> Result<usize> {
    let asked = asked.unwrap_or(default as i64);
    match usize::try_from(asked) {
        Ok(max) if (1..=REDRIVE_MESSAGES_MAX).contains(&max) => Ok(max),
        _ => Err(bad("maxMessages", format!("{asked} is out of range"))
            .expected(format!("1 to {REDRIVE_MESSAGES_MAX}"))),
    }
}

pub(crate) fn bad(name: &str, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidParameter, message).field(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(filter: serde_json::Value, field: &str) {
        let filter: DeadLetterFilter = serde_json::from_value(filter).expect("a filter");
        let error = filter.check().expect_err("it is wrong");
        assert_eq!((error.code(), error.field_name()), (Code::InvalidParameter, Some(field)), "{filter:?}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(json!({"minAgeSeconds": -1}), "minAgeSeconds");
        check(json!({"maxAgeSeconds": i64::MAX}), "maxAgeSeconds");
        check(json!({"minAgeSeconds": 10, "maxAgeSeconds": 9}), "minAgeSeconds");
        check(json!({"errorType": " "}), "errorType");
        check(json!({"type": "x".repeat(121)}), "type");
        check(json!({"ids": []}), "ids");
        check(json!({"ids": vec![1; 1_001]}), "ids");
        check(json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}), "from");
    }

    #[test]
    fn a_misspelt_part_is_refused_instead_of_ignored() {
        assert!(serde_json::from_value::<DeadLetterFilter>(json!({"errortype": "TIMEOUT"})).is_err());
    }

    #[test]
    fn limits_of_one_call() {
        assert_eq!(max_messages(None, 20).unwrap(), 20);
        assert_eq!(max_messages(Some(1_000), 20).unwrap(), 1_000);
        for wrong in [0, -5, 1_001, i64::MAX] {
            let error = max_messages(Some(wrong), 20).unwrap_err();
            assert_eq!(error.field_name(), Some("maxMessages"), "{wrong}");
        }
    }
}
