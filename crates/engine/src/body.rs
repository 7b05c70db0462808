//! The body of a call as its receiver wants it: a JSON template, in whose texts `{payload.orderId}` stands for what the
//! event says there, written as JSON or as a form. It is how mail, SMS, chats and pagers are reached, whose interfaces
//! have bodies of their own.
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

/// Refuses what cannot be a form: it is a table of fields, whose values are texts, numbers, booleans or lists of them.
pub fn check_form(template: &Value) -> Result<(), Error> {
    let is_plain = |value: &Value| !value.is_array() && !value.is_object();
    let is_field =
        |value: &Value| is_plain(value) || value.as_array().is_some_and(|list| list.iter().all(is_plain));
    let refuse = |message: String| {
        Err(invalid(message).expected("a table of texts, numbers, booleans and lists of them"))
    };
    match template.as_object() {
        None => refuse("the template of a form is not a table of its fields".into()),
        Some(fields) if fields.is_empty() => refuse("the template of a form has no fields".into()),
        Some(fields) => match fields.iter().find(|(_, value)| !is_field(value)) {
            Some((name, _)) => {
                refuse(format!("the field `{name}` has fields of its own, which a form cannot say"))
            }
            None => Ok(()),
        },
    }
}

/// What `render` made of a form's template, as `application/x-www-form-urlencoded` (the URL standard's form). A field
/// that is null is left out, a list is its field several times, and an object that came from the event is its JSON.
pub fn form(rendered: &Value) -> String {
    let mut out = String::new();
    for (name, value) in rendered.as_object().into_iter().flatten() {
        for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if !out.is_empty() {
                out.push('&');
            }
            form_encode(&mut out, name);
            out.push('=');
            form_encode(&mut out, &text);
        }
    }
    out
}

fn form_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' => out.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
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
    fn a_form_says_its_fields_and_nothing_of_an_event_adds_another() {
        let event = json!({"payload": {
            "phone": "+49 1", "text": "a&b=c\r\n\u{e4}%41", "tags": ["x", "y z"], "cart": {"n": 1}, "none": null,
        }});
        let template = json!({
            "To": "{payload.phone}", "Body": "Hi! {payload.text}", "Tag": "{payload.tags}", "Cart": "{payload.cart}",
            "None": "{payload.none}", "Count": 2, "odd name": true,
        });
        check_form(&template).expect("a form");
        let mut fields: Vec<_> = form(&render(&template, &event)).split('&').map(str::to_owned).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "Body=Hi%21+a%26b%3Dc%0D%0A%C3%A4%2541",
                "Cart=%7B%22n%22%3A1%7D",
                "Count=2",
                "Tag=x",
                "Tag=y+z",
                "To=%2B49+1",
                "odd+name=true",
            ]
        );
    }

    #[test]
    fn what_cannot_be_a_form_is_refused() {
        for (template, words) in [
            (json!("{payload}"), "not a table"),
            (json!({}), "no fields"),
            (json!({"a": {"b": 1}}), "`a` has fields of its own"),
            (json!({"a": [["b"]]}), "`a` has fields of its own"),
        ] {
            let error = check_form(&template).unwrap_err();
            assert!(error.code() == Code::InvalidEndpoint && error.message().contains(words), "{error}");
        }
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
