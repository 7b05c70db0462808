//! One text for equal JSON values, so that equal payloads get equal hashes and keys.
//!
//! Not for: what is stored or sent. Payloads travel as they were written; this form is only hashed.

use std::fmt::Write;

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// JSON in the manner of RFC 8785: keys sorted by their UTF-16 units, no white space, and one form for each
/// number, so that `1`, `1.0`, `1.00` and `1e0` agree. Whole numbers that fit 64 bits keep all their digits,
/// where the RFC would round them to a double.
pub fn to_canonical(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// The SHA-256 of the canonical form.
pub fn payload_hash(value: &Value) -> [u8; 32] {
    Sha256::digest(to_canonical(value)).into()
}

/// The idempotency key of an event that came without one: the same type and the same payload are the same
/// event. Lower-case hexadecimal, 64 characters.
pub fn key_of(event_type: &str, value: &Value) -> String {
    let mut hasher = Sha256::new();
    hasher.update(event_type);
    // A zero byte is in no canonical JSON, so no type runs into a payload.
    hasher.update([0]);
    hasher.update(to_canonical(value));
    to_hex(&hasher.finalize())
}

/// Both [`payload_hash`] and [`key_of`], for the price of one canonical form.
pub fn hash_and_key(event_type: &str, value: &Value) -> ([u8; 32], String) {
    let text = to_canonical(value);
    let key = Sha256::new().chain_update(event_type).chain_update([0]).chain_update(&text).finalize();
    (Sha256::digest(&text).into(), to_hex(&key))
}

fn to_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
    }
}

fn write_number(out: &mut String, number: &Number) {
    // Writing to a string never fails.
    let _ = match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(whole), _, _) => write!(out, "{whole}"),
        (_, Some(whole), _) => write!(out, "{whole}"),
        (_, _, Some(float)) => write_float(out, float),
        _ => write!(out, "{number}"),
    };
}

/// A float as ECMAScript writes it, but whole ones that fit 64 bits as that whole number.
fn write_float(out: &mut String, float: f64) -> std::fmt::Result {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let is_whole = float.trunc() == float;
    // Both casts are exact: the float is whole and inside the range. Minus zero becomes zero.
    if is_whole && (-TWO_TO_63..TWO_TO_63).contains(&float) {
        return write!(out, "{}", float as i64);
    }
    if is_whole && (0.0..2.0 * TWO_TO_63).contains(&float) {
        return write!(out, "{}", float as u64);
    }
    // serde_json writes the fewest digits that tell it from other doubles, and of two that are as near the even one, as
    // ECMAScript and PostgreSQL do; where the exponent begins is another matter.
    let text = Number::from_f64(float).map_or_else(String::new, |number| number.to_string());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match float.abs() {
        size if size >= 1e21 => write!(out, "{mantissa}e+{exponent}"),
        size if size < 1e-6 => write!(out, "{mantissa}e{exponent}"),
        _ if exponent == 0 => out.write_str(mantissa),
        _ => out.write_str(&without_exponent(mantissa, exponent)),
    }
}

/// `1.25` and 3 as `1250`.
fn without_exponent(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let whole = mantissa.split('.').next().unwrap_or_default().len() as i32;
    let digits = mantissa.replace('.', "");
    let (length, point) = (digits.len(), whole + exponent);
    match usize::try_from(point) {
        Ok(point) if point >= length => format!("{sign}{digits}{}", "0".repeat(point - length)),
        Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        _ => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::json;

    fn check(text: &str, canonical: &str) {
        let value = json::parse(text.as_bytes()).unwrap();
        assert_eq!(to_canonical(&value), canonical, "{text}");
    }

    #[test]
    fn hash_and_key_are_those_of_the_functions_for_one() {
        let value = json!({"orderId": "test-123", "amount": 42.5});
        assert_eq!(hash_and_key("order", &value), (payload_hash(&value), key_of("order", &value)));
    }

    #[test]
    fn keys_are_sorted_and_white_space_is_gone() {
        check(
            r#" { "b" : [ 1 , 2 ] , "a" : { "d" : null , "c" : true } } "#,
            r#"{"a":{"c":true,"d":null},"b":[1,2]}"#,
        );
    }

    #[test]
    fn keys_sort_by_utf16_units() {
        // U+1F600 is above U+FB33 by code point, and below it by its first surrogate.
        check(r#"{"\ufb33":1,"\ud83d\ude00":2,"1":3}"#, "{\"1\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn equal_numbers_have_one_form() {
        for text in ["1", "1.0", "1.00", "1e0", "10e-1", "0.1e1"] {
            check(text, "1");
        }
        for text in ["0", "-0", "0.0", "-0.0", "0e5"] {
            check(text, "0");
        }
        for text in ["42.5", "42.50", "4.25e1"] {
            check(text, "42.5");
        }
    }

    #[test]
    fn numbers_are_written_as_rfc_8785_has_them() {
        check("1e21", "1e+21");
        check("1e30", "1e+30");
        check("4.50", "4.5");
        check("2e-3", "0.002");
        check("0.000001", "0.000001");
        check("1.5e-7", "1.5e-7");
        check("0.000000000000000000000000001", "1e-27");
        check("333333333.33333329", "333333333.3333333");
        check("1e20", "100000000000000000000");
        check("-5.0", "-5");
        check("-1.5e-5", "-0.000015");
        check("1.2345678901234568e20", "123456789012345680000");
        check("123456789012345678.5", "123456789012345680");
        // Half-way between two shortest ones.
        check("17214897797569.3125", "17214897797569.312");
    }

    #[test]
    fn whole_numbers_keep_all_their_digits() {
        check("9007199254740993", "9007199254740993");
        check("18446744073709551615", "18446744073709551615");
        check("9223372036854775808.0", "9223372036854775808");
    }

    #[test]
    fn strings_escape_only_what_they_must() {
        check(r#""\u20ac$\u000f\nA'\u0042\"\\\/""#, "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\/\"");
    }

    #[test]
    fn a_key_is_known_and_depends_on_type_and_payload() {
        let payload = json!({"orderId": "test-123", "amount": 42.5});
        let key = key_of("order.created", &payload);
        assert_eq!(key.len(), 64);
        assert_eq!(key, key_of("order.created", &json!({"amount": 42.50, "orderId": "test-123"})));
        assert_ne!(key, key_of("order.updated", &payload));
        assert_ne!(key, key_of("order.created", &json!({"orderId": "test-123", "amount": 42.51})));
        assert_ne!(key_of("a", &json!(1)), key_of("a1", &json!("")));
    }

    #[test]
    fn the_hash_is_that_of_the_canonical_text() {
        assert_eq!(
            to_hex(&payload_hash(&json!({}))),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter_map("finite", |f| Number::from_f64(f).map(Value::Number)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reading_the_canonical_text_gives_it_again(value in any_json()) {
            let once = to_canonical(&value);
            // serde_json reads it, as whole numbers between 2^64 and 1e21 are floats here.
            let read: Value = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(to_canonical(&read), once);
        }

        #[test]
        fn different_floats_never_share_a_form(a in any::<f64>(), b in any::<f64>()) {
            if let (Some(x), Some(y)) = (Number::from_f64(a), Number::from_f64(b)) {
                let same = to_canonical(&Value::Number(x)) == to_canonical(&Value::Number(y));
                prop_assert_eq!(same, a == b);
            }
        }
    }
}
