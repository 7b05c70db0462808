//! When a rule next occurs, in a subject's local time.
//!
//! Every rule names local times; `zone::resolve` alone decides what a local time means where clocks change, so
//! that all kinds of rule agree (requirements, decision 22). Not for: storing schedules, or making events.

mod cron;
mod rrule;
mod start;
mod yearly;

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use posthaste_base::{Code, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};

pub use cron::CronRule;
pub use rrule::RecurRule;
pub use start::Start;
pub use yearly::Yearly;

use crate::zone;

/// The local time of day of a rule that names none.
pub const TIME_OF_DAY_DEFAULT: Time = Time::constant(9, 0, 0, 0);

/// The longest text of a rule.
const RULE_BYTES_MAX: usize = 500;

/// What makes the next event of a series. Rules that are here can be evaluated and do occur.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    Once(Start),
    Yearly(Yearly),
    Cron(CronRule),
    RRule(RecurRule),
}

impl Rule {
    /// Reads `{"once": "2026-05-01T09:00"}`, `{"yearly": "03-15"}`, `{"cron": "0 9 * * 1-5"}` or
    /// `{"rrule": "FREQ=WEEKLY;BYDAY=MO", "from": "2026-01-05T09:00"}`.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        let fields = value.as_object().ok_or_else(|| invalid("the recurrence is not an object"))?;
        let known = ["once", "yearly", "cron", "rrule", "from"];
        if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
            return Err(invalid(format!("`{field}` is not a kind of recurrence")).field(field.as_str()));
        }
        let kinds: Vec<&str> =
            known.into_iter().filter(|kind| *kind != "from" && fields.contains_key(*kind)).collect();
        let [kind] = kinds[..] else {
            return Err(invalid(format!("the recurrence names {} rules", kinds.len())).expected("one rule"));
        };
        if kind != "rrule" && fields.contains_key("from") {
            return Err(invalid(format!("`from` belongs to `rrule`, not to `{kind}`")).field("from"));
        }
        let text = text_of(fields, kind)?;
        match kind {
            "once" => Start::parse(text).map(Self::Once).map_err(|error| error.field("once")),
            "yearly" => Yearly::parse(text).map(Self::Yearly),
            "cron" => CronRule::parse(text).map(Self::Cron),
            _ => {
                let missing = || {
                    invalid("an `rrule` needs the day that it counts from")
                        .field("from")
                        .expected("a local time such as `2026-01-05T09:00`")
                };
                fields.get("from").ok_or_else(missing)?;
                let from = Start::parse(text_of(fields, "from")?).map_err(|error| error.field("from"))?;
                RecurRule::parse(text, from).map(Self::RRule)
            }
        }
    }

    /// The form that [`Rule::parse`] reads.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Once(start) => json!({"once": start.to_string()}),
            Self::Yearly(yearly) => json!({"yearly": yearly.to_string()}),
            Self::Cron(cron) => json!({"cron": cron.as_str()}),
            Self::RRule(rule) => json!({"rrule": rule.as_str(), "from": rule.from().to_string()}),
        }
    }

    /// Whether the rule names its times of day itself, so that a time of day beside it says nothing.
    pub fn names_time(&self) -> bool {
        match self {
            Self::Once(start) => start.time.is_some(),
            Self::Yearly(_) => false,
            Self::Cron(_) => true,
            Self::RRule(rule) => rule.from().time.is_some(),
        }
    }

    /// The first instant strictly later than `after` at which the rule occurs; `None` when there is none.
    ///
    /// `at` is the local time of day for rules that name none. Local times that clocks skip move forward, ones
    /// that come twice count once, and two that come to the same instant give it once.
    pub fn next_after(
        &self,
        after: Timestamp,
        zone: &TimeZone,
        at: Time,
    ) -> Result<Option<Timestamp>, Error> {
        let start = zone::search_start(after, zone);
        let mut earliest: Option<Timestamp> = None;
        for local in self.local_times_after(start, at) {
            // Local times run in order, but one that moved out of a gap may come to lie after some that did not.
            // No local time comes to lie earlier than its own name, so those beyond the best cannot beat it.
            if earliest.is_some_and(|best| local > zone.to_datetime(best)) {
                break;
            }
            // Only the very end of the calendar does not resolve, and nothing comes after it.
            let Ok(instant) = zone::resolve(local, zone) else { break };
            let is_later = instant > after && self.is_within_end(instant);
            if is_later && earliest.is_none_or(|best| instant < best) {
                earliest = Some(instant);
            }
            let is_moved = zone.to_datetime(instant) != local;
            if instant > after && !is_moved {
                break;
            }
        }
        Ok(earliest)
    }

    /// The rule's local times strictly later than `start`, in order, as if clocks never changed.
    fn local_times_after(&self, start: DateTime, at: Time) -> Box<dyn Iterator<Item = DateTime> + '_> {
        match self {
            Self::Once(once) => Box::new(Some(once.local(at)).filter(|local| *local > start).into_iter()),
            Self::Yearly(yearly) => Box::new(yearly.local_times_after(start, at)),
            Self::Cron(cron) => Box::new(cron.local_times_after(start)),
            Self::RRule(rule) => Box::new(rule.local_times_after(start, at)),
        }
    }

    /// Whether the rule has not ended by an instant that it names itself.
    fn is_within_end(&self, instant: Timestamp) -> bool {
        match self {
            Self::RRule(rule) => rule.is_within_end(instant),
            _ => true,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once(start) => write!(f, "once at {start}"),
            Self::Yearly(yearly) => write!(f, "yearly on {yearly}"),
            Self::Cron(cron) => write!(f, "cron {}", cron.as_str()),
            Self::RRule(rule) => write!(f, "{} from {}", rule.as_str(), rule.from()),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Reads a local time of day: `09:00`, `09:00:30`.
pub fn parse_time_of_day(text: &str) -> Result<Time, Error> {
    let is_written_well =
        text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    text.parse().ok().filter(|_| is_written_well).ok_or_else(|| {
        Error::new(Code::InvalidTime, format!("`{text}` is not a time of day"))
            .expected("a time such as `09:00`")
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidSchedule, message)
        .expected("`{\"once\": …}`, `{\"yearly\": …}`, `{\"cron\": …}` or `{\"rrule\": …, \"from\": …}`")
}

fn text_of<'a>(fields: &'a Map<String, Value>, field: &str) -> Result<&'a str, Error> {
    let text = fields.get(field).and_then(Value::as_str);
    let text = text.ok_or_else(|| invalid(format!("`{field}` is not a text")).field(field))?;
    if text.len() > RULE_BYTES_MAX {
        let message = format!("`{field}` is longer than {RULE_BYTES_MAX} bytes");
        return Err(invalid(message).field(field).expected("a shorter rule"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
