//! JSON Schemas of event types: compiled once, then every violation of a payload at once.
//!
//! Not for: reading text (`json` does that), or fetching schemas: a `$ref` to elsewhere is refused.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use posthaste_base::{Code, Error, Violation};
use serde_json::{Value, json};

use crate::json::pointer_token;

/// How many violations one answer lists: a long array can have as many as it has items.
pub const VIOLATIONS_MAX: usize = 100;

/// A compiled schema of one event type.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
}

impl Schema {
    /// Compiles a JSON Schema (2020-12 unless it names another draft).
    ///
    /// `format` is checked, not only noted. Patterns run in linear time, since payloads come from strangers:
    /// look-around and back references are refused here.
    pub fn compile(name: &str, schema: &Value) -> Result<Self, Error> {
        jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map(|validator| Self { validator })
            .map_err(|error| {
                let pointer = match error.instance_path().as_str() {
                    "" => "/",
                    pointer => pointer,
                };
                let reason = match error.kind() {
                    ValidationErrorKind::Referencing(cause) => {
                        format!("{cause}; references must stay within the schema")
                    }
                    _ => describe(&error),
                };
                let message =
                    format!("the schema of event type `{name}` is not valid at `{pointer}`: {reason}");
                Error::new(Code::InvalidConfig, message).field(name).expected("a JSON Schema")
            })
    }

    /// All that is wrong with a payload, in the schema's order; empty when it is valid.
    ///
    /// After [`VIOLATIONS_MAX`] the list ends with an entry that says so.
    pub fn violations(&self, payload: &Value) -> Vec<Violation> {
        // The whole list is only made for a payload that has violations: most have none.
        if self.validator.is_valid(payload) {
            return Vec::new();
        }
        let mut found: Vec<_> =
            self.validator.iter_errors(payload).flat_map(to_violations).take(VIOLATIONS_MAX + 1).collect();
        if found.len() > VIOLATIONS_MAX {
            found.truncate(VIOLATIONS_MAX);
            let message = format!("has more violations than the {VIOLATIONS_MAX} listed");
            found.push(Violation { pointer: String::new(), message });
        }
        found
    }

    /// The payload is valid, or the error that lists all violations.
    pub fn check(&self, event_type: &str, payload: &Value) -> Result<(), Error> {
        let violations = self.violations(payload);
        if violations.is_empty() {
            return Ok(());
        }
        let message = format!("the payload does not satisfy the schema of event type `{event_type}`");
        Err(Error::new(Code::InvalidPayload, message).violations(violations))
    }
}

/// The schema of an order when none is configured: an id and an amount, and nothing else.
pub fn default_order_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["orderId", "amount"],
        "additionalProperties": false,
        "properties": {
            "orderId": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "\\S"},
            "amount": {"type": "number", "exclusiveMinimum": 0},
        },
    })
}

/// A missing or an unknown field is pointed at itself, not at the object around it.
fn to_violations(error: ValidationError<'_>) -> Vec<Violation> {
    let pointer = error.instance_path().as_str().to_owned();
    match error.kind() {
        ValidationErrorKind::Required { property: Value::String(name) } => {
            let pointer = format!("{pointer}/{}", pointer_token(name));
            vec![Violation { pointer, message: "is required".into() }]
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| Violation {
                pointer: format!("{pointer}/{}", pointer_token(name)),
                message: "is not a known field".into(),
            })
            .collect(),
        _ => vec![Violation { pointer, message: describe(&error) }],
    }
}

/// What is wrong, without the payload's own content: the library's messages would repeat all of it.
fn describe(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::Type { kind: TypeKind::Single(kind) } => format!("must be of type {kind}"),
        Kind::Type { kind: TypeKind::Multiple(kinds) } => {
            let names: Vec<_> = kinds.iter().map(|kind| kind.to_string()).collect();
            format!("must be of type {}", names.join(" or "))
        }
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} fields"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} fields"),
        Kind::UniqueItems => "must not have the same item twice".into(),
        Kind::Contains => "lacks an item that the schema asks for".into(),
        Kind::Pattern { pattern } if pattern == "\\S" => "must not be blank".into(),
        Kind::Pattern { pattern } => format!("must match the pattern `{pattern}`"),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::Enum { options } => format!("must be one of {options}"),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::FalseSchema => "is not allowed".into(),
        Kind::Not { .. } => "must not match what the schema excludes".into(),
        Kind::AnyOf { .. } => "matches none of the allowed forms".into(),
        Kind::OneOfNotValid { .. } => "matches none of the allowed forms, must match one".into(),
        Kind::OneOfMultipleValid { .. } => {
            "matches more than one of the allowed forms, must match one".into()
        }
        Kind::PropertyNames { error } => format!("has a field name that {}", describe(error)),
        Kind::UnevaluatedItems { .. } => "has items that are not allowed".into(),
        Kind::Required { property } => format!("lacks the field {property}"),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("has unknown fields: {}", unexpected.join(", "))
        }
        other => format!("does not satisfy `{}`", other.keyword()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn check(schema: &Value, payload: &str, expected: &[(&str, &str)]) {
        let schema = Schema::compile("order.created", schema).unwrap();
        let payload = json::parse(payload.as_bytes()).unwrap();
        let mut found: Vec<_> =
            schema.violations(&payload).into_iter().map(|found| (found.pointer, found.message)).collect();
        found.sort();
        let mut expected: Vec<_> = expected.iter().map(|(p, m)| (p.to_string(), m.to_string())).collect();
        expected.sort();
        assert_eq!(found, expected, "{payload}");
    }

    fn check_order(payload: &str, expected: &[(&str, &str)]) {
        check(&default_order_schema(), payload, expected);
    }

    #[test]
    fn a_good_order_passes() {
        check_order(r#"{"orderId":"test-123","amount":42.50}"#, &[]);
        check_order(r#"{"orderId":"x","amount":999}"#, &[]);
        check_order(&format!(r#"{{"orderId":"{}","amount":0.01}}"#, "é".repeat(255)), &[]);
    }

    #[test]
    fn amounts_must_be_numbers_above_zero() {
        check_order(r#"{"orderId":"a","amount":0}"#, &[("/amount", "must be greater than 0")]);
        check_order(r#"{"orderId":"a","amount":-1}"#, &[("/amount", "must be greater than 0")]);
        for amount in ["true", "\"5\"", "null", "[]"] {
            let payload = format!(r#"{{"orderId":"a","amount":{amount}}}"#);
            check_order(&payload, &[("/amount", "must be of type number")]);
        }
    }

    #[test]
    fn order_ids_must_be_texts_that_are_not_blank() {
        check_order(
            r#"{"orderId":"","amount":1}"#,
            &[("/orderId", "must have at least 1 characters"), ("/orderId", "must not be blank")],
        );
        check_order(r#"{"orderId":" \t ","amount":1}"#, &[("/orderId", "must not be blank")]);
        check_order(r#"{"orderId":7,"amount":1}"#, &[("/orderId", "must be of type string")]);
        let long = format!(r#"{{"orderId":"{}","amount":1}}"#, "x".repeat(256));
        check_order(&long, &[("/orderId", "must have at most 255 characters")]);
    }

    #[test]
    fn all_violations_are_listed() {
        check_order("{}", &[("/amount", "is required"), ("/orderId", "is required")]);
        check_order(
            r#"{"orderId":5,"amount":0,"x":1,"a/b":2}"#,
            &[
                ("/amount", "must be greater than 0"),
                ("/orderId", "must be of type string"),
                ("/x", "is not a known field"),
                ("/a~1b", "is not a known field"),
            ],
        );
        check_order("[]", &[("", "must be of type object")]);
    }

    #[test]
    fn pointers_go_into_arrays() {
        let schema = json!({"properties": {"items": {"items": {"type": ["string", "null"]}}}});
        check(
            &schema,
            r#"{"items":["a",1,null,{}]}"#,
            &[("/items/1", "must be of type null or string"), ("/items/3", "must be of type null or string")],
        );
    }

    #[test]
    fn formats_are_checked() {
        check(&json!({"format": "date-time"}), r#""2026-02-30""#, &[("", "must be a valid date-time")]);
        check(&json!({"format": "email"}), r#""nobody""#, &[("", "must be a valid email")]);
    }

    #[test]
    fn messages_do_not_repeat_the_payload() {
        let schema = Schema::compile("t", &json!({"oneOf": [{"type": "object"}, {"type": "null"}]})).unwrap();
        let violations = schema.violations(&json!("my secret"));
        assert!(!format!("{violations:?}").contains("secret"), "{violations:?}");
    }

    #[test]
    fn a_long_list_of_violations_ends_with_a_note() {
        let schema = Schema::compile("t", &json!({"items": {"type": "string"}})).unwrap();
        let violations = schema.violations(&Value::from(vec![1; 5_000]));
        assert_eq!(violations.len(), VIOLATIONS_MAX + 1);
        assert_eq!(violations[VIOLATIONS_MAX].message, "has more violations than the 100 listed");
    }

    fn check_bad_schema(schema: Value, message: &str) {
        let error = Schema::compile("order.created", &schema).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfig);
        assert!(error.message().contains("`order.created`"), "{error}");
        assert!(error.message().contains(message), "`{}` should contain `{message}`", error.message());
    }

    #[test]
    fn bad_schemas_name_the_event_type_and_the_place() {
        check_bad_schema(json!({"properties": {"a": {"type": "nmber"}}}), "`/properties/a/type`");
        check_bad_schema(json!({"properties": {"a": {"minLength": -1}}}), "`/properties/a/minLength`");
        check_bad_schema(json!({"properties": {"a": {"pattern": "("}}}), "`/properties/a/pattern`");
        check_bad_schema(json!([]), "`/`");
    }

    #[test]
    fn references_to_elsewhere_are_not_fetched() {
        check_bad_schema(json!({"$ref": "https://example.com/s.json"}), "references must stay within");
        check_bad_schema(json!({"$ref": "file:///etc/passwd"}), "references must stay within");
        let local = json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}});
        check(&local, "1", &[("", "must be of type string")]);
    }

    #[test]
    fn a_failed_check_is_an_error_with_the_violations() {
        let schema = Schema::compile("order.created", &default_order_schema()).unwrap();
        let error = schema.check("order.created", &json!({"orderId": "a"})).unwrap_err();
        assert_eq!(error.code(), Code::InvalidPayload);
        assert_eq!(error.all_violations().len(), 1);
    }
}
