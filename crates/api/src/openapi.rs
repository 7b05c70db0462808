//! The OpenAPI document, written from the table of routes and the shapes.
//!
//! Built once by hand rather than by a macro crate: the table already says everything, and checks with it. The
//! document in the repository (`crates/api/tests/golden/openapi.json`) is compared with this by a test.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use http::Method;
use serde_json::{Map, Value, json};

use crate::beside::{EVENT_TYPE, IDEMPOTENCY_KEY};
use crate::events::{BATCH, ENVELOPE, ENVELOPES};
use crate::messages::MESSAGES_IN;
use crate::shape::{Kind, Shape};
use crate::table::{Row, Takes, rows};

/// The document as text, made once.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(document)
}

/// The document, indented, as it stands in the repository.
pub fn document() -> String {
    let mut shapes = BTreeMap::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for row in rows() {
        let methods = paths.entry(row.path).or_default();
        methods.insert(row.method.as_str().to_ascii_lowercase(), operation(row, &mut shapes));
    }
    let mut schemas: Map<String, Value> =
        shapes.into_iter().map(|(name, shape)| (name.to_owned(), schema_of_shape(shape))).collect();
    schemas.insert("Problem".into(), problem());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Posthaste",
            "version": "1",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": "Events in, messages and webhooks out. Every address is also there under `/v1`. Errors are \
                            `application/problem+json` with a stable `code`; fields and parameters that are not \
                            known are errors.",
        },
        "servers": [{"url": "/"}, {"url": "/v1"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "What is wrong, where, and what to do next.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
            "securitySchemes": {"key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key (`posthaste keys create`); also taken as `x-api-key`. Not needed on a \
                                loopback listener, unless it is configured to be.",
            }},
        },
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

type Shapes = BTreeMap<&'static str, &'static Shape>;

fn operation(row: &'static Row, shapes: &mut Shapes) -> Value {
    let mut operation = json!({
        "operationId": row.id,
        "summary": row.about,
        "tags": [row.path.split('/').nth(1).unwrap_or_default()],
        "responses": responses(row, shapes),
    });
    let parameters = parameters(row);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = request_body(row, shapes) {
        operation["requestBody"] = body;
    }
    operation["security"] = match row.scope {
        Some(scope) => json!([{"key": [scope.as_str()]}, {}]),
        None => json!([{}]),
    };
    operation
}

fn responses(row: &'static Row, shapes: &mut Shapes) -> Value {
    let good = match (row.gives, row.id) {
        (Some(shape), "publishEvent") => {
            let content = json!({"application/json": {"schema": {"anyOf": [
                reference(shape, shapes),
                reference(&BATCH, shapes),
            ]}}});
            json!({"description": "An event that is accepted; or what became of each CloudEvent of a batch.", "content": content})
        }
        (Some(shape), _) => {
            let content = json!({"application/json": {"schema": reference(shape, shapes)}});
            json!({"description": shape.about, "content": content})
        }
        (None, "metrics") => json!({"description": "Metrics.", "content": {"text/plain": {}}}),
        (None, "openapi") => json!({"description": "This document.", "content": {"application/json": {}}}),
        (None, "exportDeadLetters") => {
            let content = json!({"application/x-ndjson": {}});
            json!({"description": "One dead letter a line.", "content": content})
        }
        (None, _) => json!({"description": "Done."}),
    };
    let mut responses = Map::new();
    if row.method == Method::PUT && row.about.contains("(201") {
        responses.insert("201".into(), good.clone());
    }
    if row.about.contains(" 207 ") || row.id == "giveBackMessages" || row.id == "publishEvent" {
        responses.insert("207".into(), partial(&good));
    }
    responses.insert(row.status.to_string(), good);
    responses.insert("default".into(), json!({"$ref": "#/components/responses/Problem"}));
    responses.into()
}

fn partial(good: &Value) -> Value {
    let mut partial = good.clone();
    partial["description"] = "Some failed: each result says so itself.".into();
    partial
}

fn parameters(row: &Row) -> Vec<Value> {
    let in_path = row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(row.query.iter().map(|param| {
        let schema = schema_of_kind(param.kind);
        json!({"name": param.name, "in": "query", "required": false, "description": param.about, "schema": schema})
    }));
    if matches!(row.takes, Takes::Events) {
        for (name, about) in [
            (IDEMPOTENCY_KEY, "The idempotency key: where the query or the body names one too, the same."),
            (EVENT_TYPE, "The event type, as the parameter `type`."),
        ] {
            parameters
                .push(json!({"name": name.as_str(), "in": "header", "required": false, "description": about,
                "schema": {"type": "string"}}));
        }
    }
    parameters
}

fn request_body(row: &'static Row, shapes: &mut Shapes) -> Option<Value> {
    let any = || json!({});
    let (is_required, content) = match row.takes {
        Takes::Nothing => return None,
        Takes::Json(shape) => (true, json!({"application/json": {"schema": reference(shape, shapes)}})),
        Takes::OptionalJson(shape) => {
            (false, json!({"application/json": {"schema": reference(shape, shapes)}}))
        }
        Takes::Events => (
            true,
            json!({
                "application/json": {"schema": {"anyOf": [
                    {"description": "A payload: any JSON that is not an object with both `type` and `payload`."},
                    reference(&ENVELOPE, shapes),
                ]}},
                "application/vnd.posthaste.event+json": {"schema": reference(&ENVELOPE, shapes)},
                "application/cloudevents+json": any(),
                "application/cloudevents-batch+json": any(),
                "*/*": {"schema": {"description": "The data of a CloudEvent whose attributes are `ce-` headers."}},
            }),
        ),
        Takes::EventBatch => (
            true,
            json!({
                "application/json": {"schema": reference(&ENVELOPES, shapes)},
                "application/cloudevents-batch+json": any(),
            }),
        ),
        Takes::Messages(shape) => (
            true,
            json!({"application/json": {"schema": {"oneOf": [
                reference(shape, shapes),
                reference(&MESSAGES_IN, shapes),
            ]}}}),
        ),
    };
    Some(json!({"required": is_required, "content": content}))
}

/// Refers to a shape, and notes it with all that it is made of.
fn reference(shape: &'static Shape, shapes: &mut Shapes) -> Value {
    if shapes.insert(shape.name, shape).is_none() {
        for field in shape.fields {
            note(field.kind, shapes);
        }
    }
    json!({"$ref": format!("#/components/schemas/{}", shape.name)})
}

fn note(kind: Kind, shapes: &mut Shapes) {
    match kind {
        Kind::Of(shape) => drop(reference(shape, shapes)),
        Kind::List(item) => note(*item, shapes),
        _ => {}
    }
}

fn schema_of_shape(shape: &Shape) -> Value {
    let properties: Map<String, Value> = shape
        .fields
        .iter()
        .map(|field| {
            let mut schema = schema_of_kind(field.kind);
            if field.is_nullable {
                schema = or_null(schema);
            }
            if schema.get("description").is_none() {
                schema["description"] = field.about.into();
            }
            (field.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> =
        shape.fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.about,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn or_null(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(kind) => {
            schema["type"] = json!([kind, "null"]);
            if let Some(known) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                known.push(Value::Null);
            }
            schema
        }
        None if schema.get("$ref").is_some() => json!({"anyOf": [schema, {"type": "null"}]}),
        None => schema,
    }
}

fn schema_of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int(i64::MIN, i64::MAX) => json!({"type": "integer"}),
        Kind::Int(least, i64::MAX) => json!({"type": "integer", "minimum": least}),
        Kind::Int(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Number => json!({"type": "number"}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::Priority => json!({"type": "string", "enum": ["CRITICAL", "HIGH", "NORMAL", "LOW"]}),
        Kind::OneOf(known) => json!({"type": "string", "enum": known}),
        Kind::Object => json!({"type": "object"}),
        Kind::Texts => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Kind::Any => json!({}),
        Kind::Of(shape) => json!({"$ref": format!("#/components/schemas/{}", shape.name)}),
        Kind::List(item) => json!({"type": "array", "items": schema_of_kind(*item)}),
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457 problem details, with a code, the place and what to do next.",
        "required": ["type", "title", "status", "code", "detail", "nextStep"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable; later versions know more of them."},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "The field, parameter or header that it is about."},
            "expected": {"type": "string", "description": "What would have been right."},
            "nextStep": {"type": "string", "description": "What to do next."},
            "violations": {
                "type": "array",
                "description": "All that is wrong, with JSON pointers.",
                "items": {
                    "type": "object",
                    "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
                },
            },
            "correlationId": {"type": "string"},
        },
    })
}
