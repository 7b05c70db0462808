//! Strict reading of JSON from outside: what is ambiguous, lossy or hostile is refused, with line and column.
//!
//! Not for: text that we wrote ourselves (`serde_json` reads that), or schemas (`schema` checks meaning).

use std::cell::{Cell, RefCell};
use std::fmt;

use posthaste_base::{Code, Error, limits};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Reads one JSON text.
///
/// Beyond what JSON's grammar refuses (truncation, `NaN`, `1e999`), it refuses what readers disagree on: bytes
/// that are not UTF-8, a key that comes twice in one object, nesting deeper than
/// [`limits::JSON_DEPTH_MAX`], and whole numbers that do not fit 64 bits, which would lose their last digits.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let place = place_of(bytes, error.valid_up_to());
        malformed(format!("the text is not valid UTF-8 at {place}")).expected("JSON in UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        return Err(malformed("the text begins with a byte order mark at line 1 column 1".into())
            .expected("JSON in UTF-8 without a byte order mark"));
    }
    if text.trim_ascii().is_empty() {
        return Err(malformed("the text is empty at line 1 column 1".into()).expected("a JSON value"));
    }
    let reading = Reading::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed { reading: &reading, frame: None, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| explain(&error, text, reading.pointer.take()))?;
    if reading.has_large_float.get()
        && let Some(at) = find_inexact_integer(bytes)
    {
        let place = place_of(bytes, at);
        return Err(malformed(format!("a whole number does not fit 64 bits at {place}"))
            .expected("a number between -9223372036854775808 and 18446744073709551615, or a string"));
    }
    Ok(value)
}

/// What the reader notes while it goes down into the text.
#[derive(Default)]
struct Reading {
    /// Where the value is that was refused.
    pointer: RefCell<Option<String>>,
    /// Whether some float is so large that it may have been written as a whole number.
    has_large_float: Cell<bool>,
}

/// One step of the way from the root to the present value; lives on the stack, so the usual case allocates
/// nothing for it.
struct Frame<'a> {
    parent: Option<&'a Frame<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

struct Seed<'a> {
    reading: &'a Reading,
    frame: Option<&'a Frame<'a>>,
    depth: usize,
}

impl<'a> Seed<'a> {
    fn refuse<E: de::Error>(&self, last: Option<&str>, message: String) -> E {
        let mut steps = Vec::new();
        let mut next = self.frame;
        while let Some(frame) = next {
            steps.push(match frame.step {
                Step::Key(key) => pointer_token(key),
                Step::Index(index) => index.to_string(),
            });
            next = frame.parent;
        }
        steps.reverse();
        steps.extend(last.map(pointer_token));
        let pointer = steps.iter().map(|step| format!("/{step}")).collect();
        self.reading.pointer.replace(Some(pointer));
        E::custom(message)
    }

    fn check_depth<E: de::Error>(&self) -> Result<(), E> {
        if self.depth >= limits::JSON_DEPTH_MAX {
            let message = format!("it nests deeper than {} levels", limits::JSON_DEPTH_MAX);
            return Err(self.refuse(None, message));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // A whole number that does not fit 64 bits arrives here, already rounded. Only the text tells it from
        // a float, so the text is looked at once more, but only when there is such a number.
        if value.abs() >= i64::MAX as f64 {
            self.reading.has_large_float.set(true);
        }
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.refuse(None, "the number is out of range".into())),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut items = Vec::new();
        loop {
            let frame = Frame { parent: self.frame, step: Step::Index(items.len()) };
            let seed = Seed { reading: self.reading, frame: Some(&frame), depth: self.depth + 1 };
            match access.next_element_seed(seed)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut fields = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            match fields.entry(key) {
                Entry::Occupied(field) => {
                    return Err(self.refuse(Some(field.key()), "the key comes twice in one object".into()));
                }
                Entry::Vacant(field) => {
                    let frame = Frame { parent: self.frame, step: Step::Key(field.key()) };
                    let seed = Seed { reading: self.reading, frame: Some(&frame), depth: self.depth + 1 };
                    let value = access.next_value_seed(seed)?;
                    field.insert(value);
                }
            }
        }
        Ok(Value::Object(fields))
    }
}

/// One step of a JSON pointer, escaped as RFC 6901 has it.
pub(crate) fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn malformed(message: String) -> Error {
    Error::new(Code::MalformedBody, message)
}

fn explain(error: &serde_json::Error, text: &str, pointer: Option<String>) -> Error {
    let said = error.to_string();
    let place = format!("line {} column {}", error.line(), error.column());
    let reason = said.strip_suffix(&format!(" at {place}")).unwrap_or(&said);
    let explained = match pointer {
        // The empty pointer is the whole text, which says nothing as a field.
        Some(pointer) if !pointer.is_empty() => {
            malformed(format!("{reason} at {place} (`{pointer}`)")).field(pointer)
        }
        _ => malformed(format!("{reason} at {place}")),
    };
    if error.is_eof() {
        explained.expected("the rest of the text, which ends there")
    } else if reason.starts_with("number out of range") {
        explained.expected("a number between -1.7976931348623157e308 and 1.7976931348623157e308, or a string")
    } else if ["nan", "infinity"].iter().any(|word| word_at(text, error).eq_ignore_ascii_case(word)) {
        explained.expected("a number, null or a string: JSON has no `NaN` and no infinity")
    } else {
        explained
    }
}

/// The word that the reader stopped in: it points at the first letter that no word of JSON has there.
fn word_at<'a>(text: &'a str, error: &serde_json::Error) -> &'a str {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = error.column().saturating_sub(1).min(line.len());
    let Some((before, after)) = line.split_at_checked(at) else { return "" };
    let is_letter = |letter: char| letter.is_ascii_alphabetic();
    let start = before.trim_end_matches(is_letter).len();
    let end = at + after.len() - after.trim_start_matches(['-', '+']).trim_start_matches(is_letter).len();
    line[start..end].trim_start_matches(['-', '+'])
}

/// Line and column of a byte, both from 1; columns count bytes, as the reader's own messages do.
fn place_of(bytes: &[u8], at: usize) -> String {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("line {line} column {column}")
}

/// The first whole number outside of strings that fits neither `i64` nor `u64`. The text is known to be JSON.
fn find_inexact_integer(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes[at..].iter().take_while(is_part).count();
                let number = std::str::from_utf8(&bytes[at..at + length]).unwrap_or_default();
                let is_whole = !number.contains(['.', 'e', 'E']);
                if is_whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(at);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check_refused(text: impl AsRef<[u8]>, message: &str) {
        let error = parse(text.as_ref()).expect_err("it should be refused");
        assert_eq!(error.code(), Code::MalformedBody);
        assert!(error.message().contains(message), "`{}` should contain `{message}`", error.message());
    }

    #[test]
    fn well_formed_text_is_read_as_serde_json_reads_it() {
        for text in [
            r#"{"orderId":"test-123","amount":42.50}"#,
            r#" [1, -2, 3.5e2, null, true, "\u00e9\ud83d\ude00", {}, []] "#,
            "18446744073709551615",
            "-9223372036854775808",
            "-0",
            "1e300",
            r#"{"big":"123456789012345678901234567890"}"#,
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap(),
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn broken_text_names_line_and_column() {
        check_refused("", "empty at line 1 column 1");
        check_refused(" \n ", "empty");
        check_refused("{\"a\":1,\n \"b\":", "EOF while parsing a value at line 2 column");
        check_refused("{\"a\":1", "EOF while parsing an object at line 1 column 6");
        check_refused("[1,]", "at line 1 column 4");
        check_refused("{} {}", "trailing characters at line 1 column 4");
        check_refused("{'a':1}", "at line 1 column 2");
        check_refused("[\"\\ud800\"]", "at line 1 column 9");
        check_refused("\u{feff}{}", "byte order mark");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        check_refused(b"{\"a\":\n\"x\xff\"}", "not valid UTF-8 at line 2 column 3");
    }

    #[test]
    fn nan_and_infinity_are_refused() {
        for text in ["NaN", "[NaN]", "Infinity", "-Infinity", "{\"amount\":nan}"] {
            check_refused(text, "at line 1 column");
            let expected = parse(text.as_bytes()).unwrap_err().expectation().unwrap_or_default().to_owned();
            assert!(expected.contains("no `NaN` and no infinity"), "{text}: {expected}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        check_refused("{\"amount\":1e999}", "number out of range at line 1 column");
        check_refused("[1,\n 18446744073709551616]", "does not fit 64 bits at line 2 column 2");
        check_refused("[-9223372036854775809]", "does not fit 64 bits at line 1 column 2");
        check_refused(
            r#"["12\"", 123456789012345678901234567890]"#,
            "does not fit 64 bits at line 1 column 10",
        );
        assert!(parse(b"[18446744073709551616.0]").is_ok(), "a float may be as large as floats are");
    }

    #[test]
    fn duplicate_keys_are_refused_with_their_pointer() {
        let error = parse(br#"{"items":[{"a":1},{"b/c":1,"b/c":2}]}"#).unwrap_err();
        assert_eq!(error.field_name(), Some("/items/1/b~1c"));
        assert!(error.message().starts_with("the key comes twice in one object at line 1 column"), "{error}");
        check_refused(r#"{"a":1,"\u0061":2}"#, "comes twice");
        assert!(parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(limits::JSON_DEPTH_MAX).as_bytes()).is_ok());
        check_refused(nested(limits::JSON_DEPTH_MAX + 1), "deeper than 64 levels");
        check_refused("{\"a\":".repeat(100_000), "deeper than 64 levels");
    }

    #[test]
    fn keys_that_other_readers_treat_as_magic_are_plain() {
        let value = parse(br#"{"$serde_json::private::RawValue":"[1]","__proto__":2}"#).unwrap();
        assert_eq!(value, json!({"$serde_json::private::RawValue": "[1]", "__proto__": 2}));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nearly_json_never_panics_and_agrees_with_serde_json(text in r#"[\[\]{}",:0-9eE.\-a\\u \n]{0,40}"#) {
            match (parse(text.as_bytes()), serde_json::from_str::<Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Ok(ours), Err(error)) => prop_assert!(false, "{} is refused elsewhere: {}", ours, error),
                (Err(_), _) => {}
            }
        }
    }
}
