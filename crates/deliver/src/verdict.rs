//! What a function's answer says of the messages of its call: which of them failed.
//!
//! A message that failed and is taken for done is lost, so what cannot be understood counts against all. Not for:
//! statuses, which say what became of the call as a whole (see `classify_http` of the engine).

use std::collections::HashSet;

use posthaste_base::{Category, MessageId};
use posthaste_engine::failure::Failure;
use serde_json::Value;

/// How much of an answer is read.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;
const FAILED: &str = "failed";
/// As functions of a cloud answer.
const ITEM_FAILURES: &str = "batchItemFailures";
const SHOWN_CHARS_MAX: usize = 80;

/// The messages that an answer names as failed: none if it is no JSON object, or names none. An error when it names
/// something else than messages of its call.
pub(crate) fn failed(answer: &[u8], sent: &[MessageId]) -> Result<HashSet<MessageId>, Failure> {
    // Some servers begin every text with the mark of UTF-8.
    let answer = answer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(answer);
    let answer = match serde_json::from_slice::<Value>(answer) {
        Ok(Value::Object(answer)) => answer,
        Ok(_) => return Ok(HashSet::new()),
        Err(error) if is_meant_to_name(answer) => {
            return Err(unreadable(&format!("the function's answer is not JSON: {error}")));
        }
        Err(_) => return Ok(HashSet::new()),
    };
    let listed = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Ok(&[][..]),
        Some(Value::Array(list)) => Ok(list.as_slice()),
        Some(other) => Err(odd(name, other)),
    };
    let mut failed = HashSet::new();
    let mut take = |name: &str, item: &Value, id: Option<&Value>| {
        let id = id.and_then(Value::as_str).ok_or_else(|| odd(name, item))?;
        let message = sent.iter().find(|message| message_id(**message) == id);
        failed.insert(*message.ok_or_else(|| odd(name, item))?);
        Ok::<_, Failure>(())
    };
    for item in listed(FAILED)? {
        take(FAILED, item, Some(item))?;
    }
    for item in listed(ITEM_FAILURES)? {
        take(ITEM_FAILURES, item, item.get("itemIdentifier"))?;
    }
    Ok(failed)
}

/// The id of a message as receivers see it.
pub(crate) fn message_id(message: MessageId) -> String {
    format!("msg_{message}")
}

/// Whether a text that is no JSON was to be an answer that names messages.
fn is_meant_to_name(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.trim_start().starts_with('{')
        && [FAILED, ITEM_FAILURES].iter().any(|name| text.contains(&format!("\"{name}\"")))
}

fn odd(name: &str, found: &Value) -> Failure {
    let expected = match name {
        FAILED => "ids of this call's messages: [\"msg_17\"]",
        _ => "items of this call: [{\"itemIdentifier\": \"msg_17\"}]",
    };
    let found: String = found.to_string().chars().take(SHOWN_CHARS_MAX).collect();
    unreadable(&format!("the function's `{name}` has {found}; expected {expected}"))
}

fn unreadable(message: &str) -> Failure {
    processing("answer-unreadable", message.to_owned())
}

/// The ids that failed may be in what was not read, so none of the messages can be taken for done.
pub(crate) fn too_long() -> Failure {
    processing("answer-too-long", format!("the function's answer has more than {ANSWER_BYTES_MAX} bytes"))
}

/// The same.
pub(crate) fn cut_off() -> Failure {
    processing("answer-cut-off", "the function's answer broke off, or came too slowly".to_owned())
}

pub(crate) fn named_as_failed() -> Failure {
    processing("named-as-failed", "the function named this message as failed".to_owned())
}

fn processing(code: &'static str, message: String) -> Failure {
    Failure { category: Category::Processing, code: code.into(), message, retry_after_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [MessageId; 3] = [MessageId(1), MessageId(2), MessageId(3)];

    #[test]
    fn failed_ids_are_read_in_both_forms_and_what_names_none_is_none() {
        let check = |answer: &str, expected: &[i64]| {
            let mut ids: Vec<i64> = failed(answer.as_bytes(), &SENT).unwrap().iter().map(|id| id.0).collect();
            ids.sort_unstable();
            assert_eq!(ids, expected, "{answer}");
        };
        check(r#"{"failed":["msg_1","msg_2","msg_1"]}"#, &[1, 2]);
        check(r#"{"batchItemFailures":[{"itemIdentifier":"msg_3"}]}"#, &[3]);
        check(r#"{"failed":["msg_1"],"batchItemFailures":null}"#, &[1]);
        check("\u{feff}{\"failed\":[\"msg_1\"]}", &[1]);
        check(r#"{"failed":null,"batchItemFailures":[]}"#, &[]);
        for answer in [r#"{"ok":true}"#, "fine", "", "null", "[17]", "{fine}", r#"the "failed" ones"#] {
            check(answer, &[]);
        }
    }

    #[test]
    fn what_names_something_else_counts_against_all() {
        for answer in [
            r#"{"failed":[17]}"#,
            r#"{"failed":"msg_1"}"#,
            r#"{"failed":true}"#,
            r#"{"failed":["1"]}"#,
            r#"{"failed":["msg_1","msg_4"]}"#,
            r#"{"failed":[],"batchItemFailures":{"itemIdentifier":"msg_1"}}"#,
            r#"{"batchItemFailures":["msg_1"]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"id":"msg_1"}]}"#,
            r#"{"failed":["msg_1""#,
        ] {
            let failure = failed(answer.as_bytes(), &SENT).unwrap_err();
            assert_eq!((failure.category, &*failure.code), (Category::Processing, "answer-unreadable"));
            assert!(failure.message.len() < 200, "{}", failure.message);
        }
        let failure = failed(br#"{"failed":[17]}"#, &SENT).unwrap_err();
        let expected = "the function's `failed` has 17; expected ids of this call's messages: [\"msg_17\"]";
        assert_eq!(failure.message, expected);
    }
}
