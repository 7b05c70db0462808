//! The body of a call as its receiver wants it: a JSON template, in whose texts `{payload.orderId}` stands for what the
//! event says there. It is how mail, SMS, chats and pagers are reached, whose interfaces have bodies of their own.
//!
//! Not for: conditions and loops; who needs those takes a function.

use posthaste_base::{Code, Error};
use serde_json::Value;

/// What a place may begin with.
pub const ROOTS: [&str; 8] = ["id", "type", "key", "subject", "priority", "dueAt", "attributes", "payload"];
const BYTES_MAX: usize = 16 * 1024;

/// A piece of a text: what stands there, or a place.
enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Refuses a template that names what no event has, or whose braces do not match.
pub fn check(template: &Value) -> Result<(), Error> {
    let n_bytes = template.to_string().len();
    if n_bytes > BYTES_MAX {
        return Err(
            invalid(format!("the template has {n_bytes} bytes")).expected(format!("at most {BYTES_MAX}"))
        );
    }
    each_text(template, &mut |text| {
        for piece in pieces(text)? {
            let Piece::Place(place) = piece else { continue };
            let root = place.split('.').next().unwrap_or_default();
            if !ROOTS.contains(&root) {
                return Err(invalid(format!("`{{{place}}}` begins with nothing that an event has"))
                    .expected(format!("one of {}, or `{{{{` for a brace", ROOTS.join(", "))));
            }
        }
        Ok(())
    })
}

/// The template with all its places filled in. A text that is one place becomes the value that is there; what is not
/// there is null, or nothing inside of a text.
pub fn render(template: &Value, event: &Value) -> Value {
    match template {
        Value::String(text) => render_text(text, event),
        Value::Array(items) => items.iter().map(|item| render(item, event)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), render(value, event))).collect()
        }
        other => other.clone(),
    }
}

fn render_text(text: &str, event: &Value) -> Value {
    // It was checked when it was declared.
    let pieces = pieces(text).unwrap_or_else(|_| vec![Piece::Text(text)]);
    if let [Piece::Place(place)] = pieces[..] {
        return at(event, place).cloned().unwrap_or_default();
    }
    let mut out = String::with_capacity(text.len());
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Place(place) => match at(event, place) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => out.push_str(text),
                Some(value) => out.push_str(&value.to_string()),
            },
        }
    }
    Value::String(out)
}

fn at<'a>(event: &'a Value, place: &str) -> Option<&'a Value> {
    place.split('.').try_fold(event, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// `{{` and `}}` are one brace each.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Error> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(start);
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        if brace.starts_with("{{") || brace.starts_with("}}") {
            pieces.push(Piece::Text(&brace[..1]));
            rest = &brace[2..];
            continue;
        }
        let end = brace.find('}').filter(|end| *end > 1);
        let Some(end) = end else {
            return Err(
                invalid(format!("a brace in `{text}` does not match")).expected("`{payload.name}`, or `{{`")
            );
        };
        pieces.push(Piece::Place(&brace[1..end]));
        rest = &brace[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn each_text(value: &Value, each: &mut impl FnMut(&str) -> Result<(), Error>) -> Result<(), Error> {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().try_for_each(|item| each_text(item, each)),
        Value::Object(fields) => fields.values().try_for_each(|value| each_text(value, each)),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidEndpoint, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_rendered(template: Value, expected: Value) {
        let event = json!({
            "id": "e1", "type": "order", "subject": null, "priority": "HIGH", "attributes": {"region": "eu"},
            "payload": {"amount": 42.5, "paid": false, "items": [{"name": "tea \"green\""}], "to": ["a", "b"]},
        });
        check(&template).expect("a template");
        assert_eq!(render(&template, &event), expected);
    }

    #[test]
    fn a_text_that_is_one_place_becomes_what_is_there() {
        check_rendered(json!("{payload.amount}"), json!(42.5));
        check_rendered(json!({"to": "{payload.to}", "n": 1}), json!({"to": ["a", "b"], "n": 1}));
        check_rendered(json!(["{payload.items.0.name}", "{payload.none}"]), json!(["tea \"green\"", null]));
    }

    #[test]
    fn places_inside_of_a_text_become_text() {
        check_rendered(
            json!(
                "{type} {id}: {payload.amount} {payload.paid} of {payload.to}{subject}{payload.items.9.name}!"
            ),
            json!("order e1: 42.5 false of [\"a\",\"b\"]!"),
        );
        check_rendered(json!("{{{attributes.region}}}"), json!("{eu}"));
    }

    #[test]
    fn what_an_event_says_is_never_read_as_a_template() {
        let event = json!({"payload": {"a": "{id} {{"}});
        assert_eq!(render(&json!("<{payload.a}>"), &event), json!("<{id} {{>"));
    }

    #[test]
    fn templates_that_cannot_be_filled_in_are_refused() {
        for (template, words) in [
            (json!({"text": "{paylod.a}"}), "`{paylod.a}` begins with nothing"),
            (json!(["{payload.a"]), "does not match"),
            (json!("a } b"), "does not match"),
            (json!("{}"), "does not match"),
            (json!("x".repeat(20_000)), "bytes"),
        ] {
            let error = check(&template).unwrap_err();
            assert!(error.code() == Code::InvalidEndpoint && error.message().contains(words), "{error}");
        }
    }
}
