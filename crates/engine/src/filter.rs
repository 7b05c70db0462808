//! Filter policies of subscriptions: which events, by their attributes and payload, a subscription wants.
//!
//! The language is that of SNS and EventBridge. A policy is an object: every key names a field, and its value
//! lists what the field may be; all keys must hold. Attributes are `type`, `subject`, `priority` and whatever
//! the event carries; the payload's fields are under `payload`. A policy that says `"scope": "payload"` is about
//! the payload from the top. `$or` and `$and` take lists of policies. A field that holds a list matches when any
//! of its elements does.
//!
//! Not for: fetching events, or JSON Schema validation (see `schema`).

mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use posthaste_base::Error;
use serde_json::{Map, Number, Value};

/// A policy, checked and ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Node,
    is_about_payload: bool,
}

impl Filter {
    /// The filter that lets everything through, as the empty policy does.
    pub fn everything() -> Self {
        Self { root: Node::All(Vec::new()), is_about_payload: false }
    }

    /// Reads a policy. An error's field is a JSON pointer to the rule that cannot be read.
    pub fn parse(policy: &Value) -> Result<Self, Error> {
        parse::parse(policy)
    }

    pub fn matches(&self, attributes: &Map<String, Value>, payload: &Value) -> bool {
        if self.is_about_payload {
            self.root.accepts_value(Some(payload))
        } else {
            self.root.accepts(Some(attributes), payload)
        }
    }

    /// Whether `matches` looks at the payload at all; if not, any value may be passed for it.
    pub fn needs_payload(&self) -> bool {
        self.is_about_payload || self.root.needs_payload()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    /// The field's value is one of these.
    Field(String, Vec<Rule>),
    /// The field is an object (or a list of them) that satisfies the node.
    Inside(String, Box<Node>),
    Payload(Box<Node>),
}

impl Node {
    /// Whether an object satisfies the node. Without an object, as below a field that is not there, what must
    /// not exist does not exist.
    fn accepts(&self, object: Option<&Map<String, Value>>, payload: &Value) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.accepts(object, payload)),
            Self::Any(nodes) => nodes.iter().any(|node| node.accepts(object, payload)),
            Self::Field(name, rules) => {
                let value = object.and_then(|object| object.get(name));
                rules.iter().any(|rule| rule.accepts(value))
            }
            Self::Inside(name, node) => node.accepts_value(object.and_then(|object| object.get(name))),
            Self::Payload(node) => node.accepts_value(Some(payload)),
        }
    }

    fn accepts_value(&self, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Object(object)) => self.accepts(Some(object), &Value::Null),
            Some(Value::Array(elements)) if !elements.is_empty() => {
                elements.iter().any(|element| self.accepts_value(Some(element)))
            }
            _ => self.accepts(None, &Value::Null),
        }
    }

    fn needs_payload(&self) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::needs_payload),
            Self::Field(..) | Self::Inside(..) => false,
            Self::Payload(_) => true,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Exists(bool),
    Value(Test),
}

impl Rule {
    fn accepts(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), value) => *wanted == value.is_some(),
            (Self::Value(_), None) => false,
            (Self::Value(test), Some(value)) => test.accepts(value),
        }
    }
}

/// What one value may be.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Prefix(String),
    Suffix(String),
    /// Held in lower case.
    EqualsIgnoreCase(String),
    AnythingBut(Vec<Test>),
    Numeric(Vec<(Comparison, Number)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Test {
    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Array(elements)) => elements.iter().any(|element| self.accepts(element)),
            (Self::AnythingBut(tests), value) => !tests.iter().any(|test| test.accepts(value)),
            (Self::Null, Value::Null) => true,
            (Self::Bool(wanted), Value::Bool(value)) => wanted == value,
            (Self::Number(wanted), Value::Number(value)) => compare(value, wanted) == Some(Ordering::Equal),
            (Self::Text(wanted), Value::String(value)) => wanted == value,
            (Self::Prefix(prefix), Value::String(value)) => value.starts_with(prefix.as_str()),
            (Self::Suffix(suffix), Value::String(value)) => value.ends_with(suffix.as_str()),
            (Self::EqualsIgnoreCase(wanted), Value::String(value)) => {
                value.chars().flat_map(char::to_lowercase).eq(wanted.chars())
            }
            (Self::Numeric(bounds), Value::Number(value)) => {
                bounds.iter().all(|(comparison, bound)| comparison.holds(compare(value, bound)))
            }
            _ => false,
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else { return false };
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        }
    }
}

/// Compares by value, exactly: 1 equals 1.0, and two large ids that differ by one are not equal, as they would
/// be after a detour over floats.
fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => compare_whole(left, right.as_f64()?),
        (None, Some(right)) => compare_whole(right, left.as_f64()?).map(Ordering::reverse),
        (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn compare_whole(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // The cast keeps the whole part and saturates beyond i128, where every number of JSON's integers is smaller.
    let floor = float.floor();
    Some(whole.cmp(&(floor as i128)).then(if float > floor { Ordering::Less } else { Ordering::Equal }))
}
