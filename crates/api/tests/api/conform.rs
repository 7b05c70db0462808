//! Holds every answer of every test against the OpenAPI document.
//!
//! Not for: JSON Schema in general; only what the document uses.

use std::sync::LazyLock;

use posthaste_api::openapi_document;
use serde_json::{Map, Value};

use crate::server::Answer;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&openapi_document()).expect("the document is JSON"));

/// An answer to `POST /events?type=a` has to be one that the document names, of the shape that it says.
#[track_caller]
pub(crate) fn check(request: &str, answer: &Answer) {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    let path = target.split('?').next().unwrap_or_default();
    let Some(operation) = operation(method, path.strip_prefix("/v1").unwrap_or(path)) else { return };
    let responses = &operation["responses"];
    let shown = answer.status.to_string();
    let response = if answer.status < 400 {
        &responses[&shown]
    } else {
        &DOCUMENT["components"]["responses"]["Problem"]
    };
    assert!(response.is_object(), "{request} answers {shown}, which is not in the document");
    let Some(content) = response["content"].as_object() else {
        assert!(
            answer.body.is_empty(),
            "{request} answers {shown} with a body, which is not in the document"
        );
        return;
    };
    let found = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    let media = content.get(found).unwrap_or_else(|| panic!("{request} answers `{found}`, not {content:?}"));
    if media.get("schema").is_some() {
        let mut wrong = Vec::new();
        check_value(&media["schema"], &answer.json(), "", &mut wrong);
        assert!(wrong.is_empty(), "{request} {shown}: {wrong:#?}\n{}", answer.text());
    }
}

/// The operation that a path belongs to: one that is written out goes before one with parameters.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object()?;
    let matches = |known: &str| {
        known.split('/').count() == path.split('/').count()
            && known
                .split('/')
                .zip(path.split('/'))
                .all(|(known, part)| known.starts_with('{') || known == part)
    };
    let known = paths.keys().filter(|known| matches(known)).min_by_key(|known| known.matches('{').count())?;
    paths[known].get(method.to_ascii_lowercase())
}

fn check_value(schema: &Value, value: &Value, place: &str, wrong: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return check_value(&DOCUMENT["components"]["schemas"][name], value, place, wrong);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &Value| {
            let mut found = Vec::new();
            check_value(choice, value, place, &mut found);
            found.is_empty()
        };
        if !choices.iter().any(fits) {
            wrong.push(format!("`{place}` is none of what it may be: {value}"));
        }
        return;
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    if !kinds.iter().any(|kind| is_of(value, kind)) {
        wrong.push(format!("`{place}` is {value}, not {kinds:?}"));
        return;
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        wrong.push(format!("`{place}` is {value}, not one of {known:?}"));
    }
    match value {
        Value::Object(members) => check_members(schema, members, place, wrong),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                check_value(&schema["items"], item, &format!("{place}/{at}"), wrong);
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                wrong.push(format!("`{place}` is {number}, not in {least:?} to {most:?}"));
            }
        }
        _ => {}
    }
}

fn check_members(schema: &Value, members: &Map<String, Value>, place: &str, wrong: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            wrong.push(format!("`{place}/{name}` is not there"));
        }
    }
    for (name, value) in members {
        match schema["properties"].get(name) {
            Some(property) => check_value(property, value, &format!("{place}/{name}"), wrong),
            None if schema["additionalProperties"] == false => {
                wrong.push(format!("`{place}/{name}` is unknown"))
            }
            None => {}
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => panic!("the document has the type `{kind}`"),
    }
}
