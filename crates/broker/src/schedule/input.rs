//! A schedule as a caller describes it, and what is checked before the database is asked.

use jiff::civil::Time;
use posthaste_base::limits::PAYLOAD_BYTES_MAX;
use posthaste_base::{Code, Error, Priority, Result};
use posthaste_engine::recurrence::{Rule, TIME_OF_DAY_DEFAULT, parse_time_of_day};
use posthaste_engine::zone;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::declare::check;
use crate::event::unknown_type;
use crate::{Catalog, route};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleIn {
    /// What it can be asked for by, beside its id. Not digits alone.
    #[serde(default)]
    pub name: Option<String>,
    /// The type of the events that it makes.
    #[serde(rename = "type")]
    pub event_type: String,
    #[serde(default)]
    pub subject: Option<String>,
    /// Such as `{"cron": "0 9 * * 1-5"}`; see `posthaste_engine::recurrence`. This or `follows`.
    #[serde(default)]
    pub rule: Option<Value>,
    /// A date of the subject that comes round every year, such as `birthday`.
    #[serde(default)]
    pub follows: Option<String>,
    /// None is the subject's, whichever that is by then.
    #[serde(default)]
    pub zone: Option<String>,
    /// The local time of day for rules of days alone; 09:00 when this says nothing. Refused beside a rule with a time.
    #[serde(default)]
    pub at: Option<String>,
    #[serde(default)]
    pub priority: Option<Priority>,
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// What each occurrence carries.
    #[serde(default)]
    pub payload: Option<Value>,
}

/// A schedule whose parts are good by themselves.
pub(super) struct Checked {
    pub(super) name: Option<String>,
    pub(super) event_type: String,
    pub(super) subject: Option<String>,
    pub(super) rule: Option<Value>,
    pub(super) follows: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) at: Time,
    pub(super) priority: Option<Priority>,
    pub(super) attributes: Value,
    pub(super) payload: Value,
}

pub(super) fn check(input: ScheduleIn, catalog: &Catalog, strict_types: bool) -> Result<Checked> {
    if let Some(name) = &input.name {
        check_name(name)?;
    }
    check_type(&input.event_type, catalog, strict_types)?;
    let rule = check_rule(&input)?;
    let zone = match &input.zone {
        Some(name) => {
            let zone = zone::parse(name).map_err(|error| error.field("zone"))?;
            Some(zone::name(&zone).to_owned())
        }
        None if input.subject.is_none() => {
            return Err(invalid("a schedule without a subject has no zone").field("zone").expected("a zone"));
        }
        None => None,
    };
    let at = match &input.at {
        Some(text) => check_at(text, rule.as_ref())?,
        None => TIME_OF_DAY_DEFAULT,
    };
    let payload = input.payload.unwrap_or_else(|| Value::Object(Map::new()));
    let attributes = Value::Object(input.attributes);
    check_content(&input.event_type, catalog, &attributes, &payload)?;
    Ok(Checked {
        name: input.name,
        event_type: input.event_type,
        subject: input.subject,
        rule: rule.map(|rule| rule.to_json()),
        follows: input.follows,
        zone,
        at,
        priority: input.priority,
        attributes,
        payload,
    })
}

fn check_name(name: &str) -> Result<()> {
    check::name(name, "a schedule").map_err(|error| error.field("name"))?;
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("`{name}` would be taken for the id of a schedule");
        return Err(Error::new(Code::InvalidParameter, message).field("name").expected("a letter in it"));
    }
    Ok(())
}

fn check_type(event_type: &str, catalog: &Catalog, strict_types: bool) -> Result<()> {
    check::name(event_type, "an event type").map_err(|error| error.field("type"))?;
    route::check_own_type(event_type)?;
    if strict_types && !catalog.is_known_type(event_type) {
        return Err(unknown_type(event_type));
    }
    Ok(())
}

/// A time of day, which must not contradict the rule's own.
fn check_at(text: &str, rule: Option<&Rule>) -> Result<Time> {
    let at = parse_time_of_day(text).map_err(|error| error.field("at"))?;
    match rule.filter(|rule| rule.names_time()) {
        None => Ok(at),
        Some(rule) => {
            let message = format!("`at` would do nothing beside this `rule`, which names its time: {rule}");
            Err(Error::new(Code::InvalidParameter, message)
                .field("at")
                .expected("no `at`, or a rule that names days and no time"))
        }
    }
}

/// The rule; none when the schedule follows a date.
fn check_rule(input: &ScheduleIn) -> Result<Option<Rule>> {
    match (&input.rule, &input.follows) {
        (Some(rule), None) => {
            let rule = Rule::parse(rule).map_err(|error| {
                let field = error.field_name().map_or_else(String::new, |field| format!(".{field}"));
                error.field(format!("rule{field}"))
            })?;
            Ok(Some(rule))
        }
        (None, Some(_)) if input.subject.is_none() => {
            Err(invalid("`follows` names a date of a subject, and there is no subject").field("subject"))
        }
        (None, Some(_)) => Ok(None),
        (None, None) => {
            Err(invalid("there is nothing to occur by").field("rule").expected("`rule` or `follows`"))
        }
        (Some(_), Some(_)) => {
            Err(invalid("`rule` and `follows` exclude each other").field("follows").expected("one of them"))
        }
    }
}

fn check_content(event_type: &str, catalog: &Catalog, attributes: &Value, payload: &Value) -> Result<()> {
    let n_bytes = payload.to_string().len() + attributes.to_string().len();
    if n_bytes > PAYLOAD_BYTES_MAX {
        let message = format!("payload and attributes have {n_bytes} bytes");
        return Err(Error::new(Code::PayloadTooLarge, message)
            .field("payload")
            .expected(format!("at most {PAYLOAD_BYTES_MAX} bytes")));
    }
    check_storable("payload", payload)?;
    check_storable("attributes", attributes)?;
    let topic = catalog.topics.get(event_type);
    topic.and_then(|topic| topic.schema.as_ref()).map_or(Ok(()), |schema| schema.check(event_type, payload))
}

/// A `jsonb` column holds every JSON text but the character NUL.
pub(crate) fn check_storable(field: &str, value: &Value) -> Result<()> {
    let has_nul = |text: &str| text.contains('\0');
    let is_storable = match value {
        Value::String(text) => !has_nul(text),
        Value::Array(items) => return items.iter().try_for_each(|item| check_storable(field, item)),
        Value::Object(fields) => {
            fields.values().try_for_each(|value| check_storable(field, value))?;
            !fields.keys().any(|name| has_nul(name))
        }
        _ => true,
    };
    match is_storable {
        true => Ok(()),
        false => {
            Err(Error::new(Code::InvalidEvent, format!("the {field} holds the character NUL")).field(field))
        }
    }
}

fn invalid(message: &str) -> Error {
    Error::new(Code::InvalidSchedule, message)
}
