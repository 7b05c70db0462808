//! From a policy's JSON to a `Filter`, with errors that point at the rule and name what was meant.

use std::cmp::Ordering;

use posthaste_base::{Code, Error};
use serde_json::{Map, Number, Value};

use super::{Comparison, Filter, Node, Rule, Test, compare};

/// Bounds of one policy: every event of a topic is put to every filter.
const RULES_MAX: usize = 1_000;
const DEPTH_MAX: usize = 16;

const OPERATORS: [&str; 6] = ["anything-but", "equals-ignore-case", "exists", "numeric", "prefix", "suffix"];

/// Operators of other languages, by what they are called here.
const OTHER_NAMES: [(&str, &str); 17] = [
    ("not", "anything-but"),
    ("ne", "anything-but"),
    ("except", "anything-but"),
    ("anythingbut", "anything-but"),
    ("startswith", "prefix"),
    ("beginswith", "prefix"),
    ("wildcard", "prefix"),
    ("like", "prefix"),
    ("endswith", "suffix"),
    ("present", "exists"),
    ("gt", "numeric"),
    ("lt", "numeric"),
    ("range", "numeric"),
    ("between", "numeric"),
    ("ignorecase", "equals-ignore-case"),
    ("iequals", "equals-ignore-case"),
    ("equalsignorecase", "equals-ignore-case"),
];

pub(super) fn parse(policy: &Value) -> Result<Filter, Error> {
    let Some(policy) = policy.as_object() else {
        return Err(bad("", "a filter policy is an object")
            .expected("an object such as {\"type\": [\"order.paid\"]}"));
    };
    let mut parser = Parser { rules: 0 };
    let is_about_payload = is_about_payload(policy)?;
    let place = if is_about_payload { Place::Payload } else { Place::Attributes };
    let root = parser.object(policy, &Pointer::root(), place, 0)?;
    Ok(Filter { root, is_about_payload })
}

/// `scope` is a setting when it is a text; when it is a list it is a rule for an attribute of that name.
fn is_about_payload(policy: &Map<String, Value>) -> Result<bool, Error> {
    match policy.get("scope") {
        Some(Value::String(scope)) => match scope.to_ascii_lowercase().as_str() {
            "payload" | "messagebody" => Ok(true),
            "attributes" | "messageattributes" => Ok(false),
            _ => Err(bad("/scope", format!("`{scope}` is not a scope")).expected("attributes or payload")),
        },
        _ => Ok(false),
    }
}

/// Where an object of the policy is: the keys `scope` and `payload` are special at the top only.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Attributes,
    Payload,
    Inside,
}

struct Parser {
    rules: usize,
}

impl Parser {
    fn object(
        &mut self,
        object: &Map<String, Value>,
        at: &Pointer<'_>,
        place: Place,
        depth: usize,
    ) -> Result<Node, Error> {
        if depth > DEPTH_MAX {
            return Err(bad(at, "the policy nests too deep").expected(format!("at most {DEPTH_MAX} levels")));
        }
        let mut nodes = Vec::with_capacity(object.len());
        for (key, value) in object {
            let at = at.key(key);
            let node = match (key.as_str(), value) {
                ("scope", Value::String(_)) if place != Place::Inside && depth == 0 => continue,
                ("$or", value) => Node::Any(self.list(value, &at, place, depth)?),
                ("$and", value) => Node::All(self.list(value, &at, place, depth)?),
                ("payload", Value::Object(inner)) if place == Place::Attributes => {
                    Node::Payload(Box::new(self.inside(inner, &at, depth)?))
                }
                (key, Value::Object(inner)) => {
                    Node::Inside(key.to_owned(), Box::new(self.inside(inner, &at, depth)?))
                }
                (key, Value::Array(rules)) if !key.starts_with('$') => {
                    Node::Field(key.to_owned(), self.rules(rules, &at)?)
                }
                (key, _) if key.starts_with('$') => {
                    return Err(bad(&at, format!("`{key}` is not an operator")).expected("$or or $and"));
                }
                (_, single) => {
                    return Err(bad(&at, "a field's rules are a list").expected(format!("[{single}]")));
                }
            };
            nodes.push(node);
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::All(nodes) })
    }

    fn inside(&mut self, object: &Map<String, Value>, at: &Pointer<'_>, depth: usize) -> Result<Node, Error> {
        // `{"amount": {"numeric": [...]}}` without the list is the likeliest slip. Nobody
        // calls a field `anything-but`, but `prefix` and `exists` may well be fields.
        if let [operator] = object.keys().collect::<Vec<_>>()[..]
            && OPERATORS.contains(&operator.as_str())
            && (operator.contains('-') || !is_rules(&object[operator]))
        {
            return Err(bad(at, format!("`{operator}` stands outside a list"))
                .expected(format!("[{}]", Value::Object(object.clone()))));
        }
        if object.is_empty() {
            return Err(bad(at, "an object without fields says nothing").expected("at least one field"));
        }
        self.object(object, at, Place::Inside, depth + 1)
    }

    fn list(
        &mut self,
        value: &Value,
        at: &Pointer<'_>,
        place: Place,
        depth: usize,
    ) -> Result<Vec<Node>, Error> {
        let policies = value.as_array().filter(|policies| !policies.is_empty());
        let Some(policies) = policies else {
            return Err(bad(at, "this takes a list").expected("a list of at least one policy"));
        };
        let mut nodes = Vec::with_capacity(policies.len());
        for (index, policy) in policies.iter().enumerate() {
            let at = at.index(index);
            match policy.as_object().filter(|policy| !policy.is_empty()) {
                Some(policy) => nodes.push(self.object(policy, &at, place, depth + 1)?),
                None => return Err(bad(&at, "not a policy").expected("an object with at least one field")),
            }
        }
        Ok(nodes)
    }

    fn rules(&mut self, rules: &[Value], at: &Pointer<'_>) -> Result<Vec<Rule>, Error> {
        if rules.is_empty() {
            return Err(bad(at, "an empty list matches nothing").expected("at least one rule"));
        }
        self.rules += rules.len();
        if self.rules > RULES_MAX {
            return Err(bad(at, "the policy has too many rules").expected(format!("at most {RULES_MAX}")));
        }
        rules.iter().enumerate().map(|(index, value)| rule(value, &at.index(index))).collect()
    }
}

/// Whether a key that is called like an operator holds a field's rules: a payload may well have a field `prefix`.
fn is_rules(value: &Value) -> bool {
    match value {
        Value::Array(values) => {
            !matches!(values.first(), Some(Value::String(sign)) if comparison(sign).is_some())
        }
        Value::Object(_) => true,
        _ => false,
    }
}

fn rule(value: &Value, at: &Pointer<'_>) -> Result<Rule, Error> {
    let Value::Object(object) = value else { return scalar(value, at).map(Rule::Value) };
    let (operator, operand, at) = only_entry(object, at)?;
    let test = match operator {
        "exists" => {
            let wanted = operand.as_bool();
            return wanted
                .map(Rule::Exists)
                .ok_or_else(|| bad(&at, "not true or false").expected("true or false"));
        }
        "anything-but" => anything_but(operand, &at)?,
        "numeric" => Test::Numeric(numeric(operand, &at)?),
        _ => text_operator(operator, operand, &at)?,
    };
    Ok(Rule::Value(test))
}

fn only_entry<'a>(
    object: &'a Map<String, Value>,
    at: &'a Pointer<'_>,
) -> Result<(&'a str, &'a Value, Pointer<'a>), Error> {
    match object.iter().next() {
        Some((operator, operand)) if object.len() == 1 => Ok((operator, operand, at.key(operator))),
        _ => Err(bad(at, "a rule has one operator").expected(format!("one of {}", OPERATORS.join(", ")))),
    }
}

fn scalar(value: &Value, at: &Pointer<'_>) -> Result<Test, Error> {
    match value {
        Value::Null => Ok(Test::Null),
        Value::Bool(value) => Ok(Test::Bool(*value)),
        Value::Number(value) => Ok(Test::Number(value.clone())),
        Value::String(value) => Ok(Test::Text(value.clone())),
        Value::Array(_) | Value::Object(_) => {
            Err(bad(at, "this is not a value to compare with")
                .expected("a text, a number, true, false or null"))
        }
    }
}

fn text_operator(operator: &str, operand: &Value, at: &Pointer<'_>) -> Result<Test, Error> {
    if !["prefix", "suffix", "equals-ignore-case"].contains(&operator) {
        return Err(unknown_operator(operator, at));
    }
    let Some(text) = operand.as_str() else {
        return Err(bad(at, format!("`{operator}` compares texts")).expected("a text"));
    };
    Ok(match operator {
        "prefix" => Test::Prefix(text.to_owned()),
        "suffix" => Test::Suffix(text.to_owned()),
        _ => Test::EqualsIgnoreCase(text.chars().flat_map(char::to_lowercase).collect()),
    })
}

fn anything_but(operand: &Value, at: &Pointer<'_>) -> Result<Test, Error> {
    let tests = match operand {
        Value::Array(values) if values.is_empty() => {
            return Err(bad(at, "an empty list excludes nothing").expected("at least one value"));
        }
        Value::Array(values) if values.len() > RULES_MAX => {
            return Err(bad(at, "too many values").expected(format!("at most {RULES_MAX}")));
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .map(|(index, value)| scalar(value, &at.index(index)))
            .collect::<Result<_, _>>()?,
        Value::Object(object) => {
            let (operator, operand, at) = only_entry(object, at)?;
            vec![text_operator(operator, operand, &at)?]
        }
        single => vec![scalar(single, at)?],
    };
    Ok(Test::AnythingBut(tests))
}

fn numeric(operand: &Value, at: &Pointer<'_>) -> Result<Vec<(Comparison, Number)>, Error> {
    const EXPECTED: &str = "a list such as [\">\", 0, \"<=\", 100]";
    let values = operand.as_array().filter(|values| matches!(values.len(), 2 | 4));
    let Some(values) = values else {
        return Err(bad(at, "`numeric` takes one or two comparisons").expected(EXPECTED));
    };
    let mut bounds = Vec::with_capacity(2);
    for (index, pair) in values.chunks(2).enumerate() {
        let Some(sign) = pair[0].as_str().and_then(comparison) else {
            return Err(bad(at.index(2 * index), "not a comparison").expected("one of <, <=, =, >=, >"));
        };
        let Value::Number(bound) = &pair[1] else {
            return Err(bad(at.index(2 * index + 1), "not a number").expected("a number"));
        };
        bounds.push((sign, bound.clone()));
    }
    if let [lower, upper] = &bounds[..]
        && !is_range(lower, upper)
    {
        return Err(bad(at, "no number satisfies both comparisons").expected(EXPECTED));
    }
    Ok(bounds)
}

fn comparison(sign: &str) -> Option<Comparison> {
    Some(match sign {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        "=" => Comparison::Equal,
        ">=" => Comparison::GreaterOrEqual,
        ">" => Comparison::Greater,
        _ => return None,
    })
}

/// Two comparisons make sense when some number satisfies both: one looks up, one down, and they overlap.
fn is_range(first: &(Comparison, Number), second: &(Comparison, Number)) -> bool {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let (lower, upper) = match (first.0, second.0) {
        (Greater | GreaterOrEqual, Less | LessOrEqual) => (first, second),
        (Less | LessOrEqual, Greater | GreaterOrEqual) => (second, first),
        _ => return false,
    };
    match compare(&lower.1, &upper.1) {
        Some(Ordering::Less) => true,
        Some(Ordering::Equal) => (lower.0, upper.0) == (GreaterOrEqual, LessOrEqual) || lower.0 == Equal,
        _ => false,
    }
}

fn unknown_operator(operator: &str, at: &Pointer<'_>) -> Error {
    let plain: String = operator
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let meant = OTHER_NAMES.iter().find(|(other, _)| *other == plain).map(|(_, name)| *name).or_else(|| {
        let nearest = OPERATORS.iter().min_by_key(|name| strsim::damerau_levenshtein(&plain, name))?;
        (strsim::damerau_levenshtein(&plain, nearest) <= 3).then_some(nearest)
    });
    let error = bad(at, format!("`{operator}` is not an operator here"));
    match meant {
        Some(name) => error.expected(format!("`{name}`")).hint(format!("did you mean `{name}`?")),
        None => error.expected(format!("one of {}", OPERATORS.join(", "))),
    }
}

fn bad(at: impl ToString, message: impl Into<String>) -> Error {
    Error::new(Code::InvalidFilter, message).field(at.to_string())
}

/// A JSON pointer that is only written out when an error needs it.
struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Pointer<'a> {
    fn root() -> Self {
        Self { parent: None, step: Step::Root }
    }

    fn key<'b>(&'b self, key: &'b str) -> Pointer<'b> {
        Pointer { parent: Some(self), step: Step::Key(key) }
    }

    fn index(&self, index: usize) -> Pointer<'_> {
        Pointer { parent: Some(self), step: Step::Index(index) }
    }
}

impl std::fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => write!(f, "/{index}"),
        }
    }
}
