//! Reads dead letters as cloud queues export them: the answer of a receive, a list of messages, or a report with
//! samples and a summary.
//!
//! What people noted on a letter is not read: the verdict must come from the error.

use jiff::Timestamp;
use posthaste_base::{Category, Code, Error};
use serde_json::{Map, Value};

use super::{ErrorText, Letter, Share, Statement};

const LISTS: [&str; 7] =
    ["sampleMessages", "messages", "Messages", "deadLetters", "dead_letters", "letters", "items"];

/// The letters of an export: an object with a list of messages, a list alone, or one message.
pub fn read_export(export: &Value) -> Result<Vec<Letter>, Error> {
    let (list, at) = match export {
        Value::Array(list) => (list.as_slice(), String::new()),
        Value::Object(object) => match LISTS.iter().find_map(|name| Some((object.get(*name)?, *name))) {
            Some((Value::Array(list), name)) => (list.as_slice(), format!("/{name}")),
            Some((_, name)) => {
                return Err(bad(format!("/{name}"), "not a list").expected("a list of messages"));
            }
            None if pick(object, &["messageId", "MessageId"]).is_some() => {
                return Ok(vec![letter(export, "")?]);
            }
            None => {
                return Err(bad(String::new(), "there is no list of messages")
                    .expected(format!("one of the fields {}", LISTS.join(", "))));
            }
        },
        _ => return Err(bad(String::new(), "not an export of dead letters").expected("an object or a list")),
    };
    list.iter().enumerate().map(|(index, message)| letter(message, &format!("{at}/{index}"))).collect()
}

/// What the export says about its queue as a whole; empty where it says nothing.
pub fn read_statement(export: &Value) -> Statement {
    let share = |name: &str| {
        let share = export.pointer(&format!("/messageCategorySummary/{name}"))?;
        Some(Share {
            count: share.get("count")?.as_u64()?,
            percentage: share.get("percentage").and_then(Value::as_f64),
            reasons: share
                .get("reasons")
                .and_then(Value::as_array)
                .map(|reasons| reasons.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    };
    let receives_max =
        ["/maxReceiveCount", "/redrivePolicy/maxReceiveCount", "/RedrivePolicy/maxReceiveCount"];
    Statement {
        letters: export.get("approximateNumberOfMessages").and_then(whole),
        receives_max: receives_max
            .iter()
            .find_map(|place| whole(export.pointer(place)?))
            .and_then(|count| u32::try_from(count).ok()),
        retry: share("safeToRetry"),
        discard: share("doNotRetry"),
    }
}

fn letter(message: &Value, at: &str) -> Result<Letter, Error> {
    let Some(fields) = message.as_object() else {
        return Err(bad(at.to_owned(), "not a message").expected("an object"));
    };
    let Some(message_id) = text_of(fields, &["messageId", "MessageId", "message_id", "id"]) else {
        return Err(bad(format!("{at}/messageId"), "the message has no id").expected("a text"));
    };
    let Some(body) = pick(fields, &["body", "Body", "payload"]) else {
        return Err(bad(format!("{at}/body"), "the message has no body").expected("an object or a text"));
    };
    let body = open_body(body);
    let empty = Map::new();
    let object = |names: &[&str]| pick(fields, names).and_then(Value::as_object).unwrap_or(&empty);
    let system = object(&["attributes", "Attributes"]);
    let custom = object(&["messageAttributes", "MessageAttributes"]);
    let inside = body.as_object().unwrap_or(&empty);

    let time = |name: &str| match pick(system, &[name]) {
        None => Ok(None),
        Some(value) => read_time(value).map(Some).ok_or_else(|| {
            bad(format!("{at}/attributes/{name}"), "not a time")
                .expected("milliseconds since 1970, or RFC 3339")
        }),
    };
    let from_body_or_attributes = |names: &[&str]| {
        text_of(inside, names).or_else(|| names.iter().find_map(|name| custom_text(custom, name)))
    };
    Ok(Letter {
        message_id,
        event_type: from_body_or_attributes(&["type", "eventType", "event_type", "detail-type"]),
        idempotency_key: from_body_or_attributes(&["idempotencyKey", "idempotency_key", "Idempotency-Key"]),
        correlation_id: from_body_or_attributes(&["correlationId", "correlation_id"]),
        sent_at: time("SentTimestamp")?,
        first_received_at: time("ApproximateFirstReceiveTimestamp")?,
        stated_at: pick(inside, &["timestamp", "time", "occurredAt", "occurred_at"]).and_then(read_time),
        receives: pick(system, &["ApproximateReceiveCount"])
            .and_then(whole)
            .and_then(|count| u32::try_from(count).ok()),
        error: error_text(fields, custom),
        body,
    })
}

/// The error stands beside the message, or in its attributes where the cloud put it when it gave up.
fn error_text(fields: &Map<String, Value>, custom: &Map<String, Value>) -> ErrorText {
    let find = |beside: &[&str], attributes: &[&str]| {
        text_of(fields, beside).or_else(|| attributes.iter().find_map(|name| custom_text(custom, name)))
    };
    let category = find(&["category", "errorCategory"], &["category", "errorCategory"]);
    ErrorText {
        reason: find(&["failureReason", "failure_reason", "reason"], &["failureReason"]).unwrap_or_default(),
        last_error: find(
            &["lastError", "last_error", "error", "errorMessage", "error_message"],
            &["lastError", "errorMessage", "ErrorMessage", "ERROR_MESSAGE"],
        )
        .unwrap_or_default(),
        // A number here is a status of the service that failed to call the function, and `200` says only that
        // the function itself failed.
        code: find(
            &["errorCode", "error_code", "code", "errorType"],
            &["errorCode", "errorType", "ErrorCode", "ERROR_CODE"],
        )
        .filter(|code| code.parse::<u32>().is_err()),
        category: category.and_then(|category| category.parse::<Category>().ok()),
    }
}

/// A body that is a text is JSON in most queues; and what a topic sent to a queue is wrapped once more.
fn open_body(body: &Value) -> Value {
    let body = match body {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| body.clone()),
        _ => body.clone(),
    };
    let is_wrapped = body.get("Type").and_then(Value::as_str) == Some("Notification");
    match body.get("Message").and_then(Value::as_str) {
        Some(message) if is_wrapped => serde_json::from_str(message).unwrap_or(body),
        _ => body,
    }
}

/// Milliseconds since 1970 as a number or a text, or RFC 3339.
fn read_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        Value::String(text) => match text.parse::<i64>() {
            Ok(milliseconds) => Timestamp::from_millisecond(milliseconds).ok(),
            Err(_) => text.parse().ok(),
        },
        _ => None,
    }
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn pick<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| object.get(*name)).filter(|value| !value.is_null())
}

/// The first of these fields that is a text (or a number, as ids sometimes are).
fn text_of(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match object.get(*name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn custom_text(custom: &Map<String, Value>, name: &str) -> Option<String> {
    let value = custom.get(name)?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(typed) => text_of(typed, &["stringValue", "StringValue", "Value"]),
        _ => None,
    }
}

fn bad(field: String, message: &str) -> Error {
    Error::new(Code::InvalidFile, message).field(field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answer_of_a_receive_is_read() {
        let export = json!({"Messages": [{
            "MessageId": "m1",
            "Body": "{\"type\": \"order.paid\", \"idempotencyKey\": \"k1\", \"timestamp\": \"2024-01-15T14:00:00Z\"}",
            "Attributes": {"SentTimestamp": "1705327200000", "ApproximateReceiveCount": "4"},
            "MessageAttributes": {
                "ErrorMessage": {"StringValue": "Task timed out after 30.00 seconds", "DataType": "String"},
                "ErrorCode": {"StringValue": "200", "DataType": "Number"},
            },
        }]});
        let letters = read_export(&export).unwrap();
        assert_eq!(letters[0].event_type.as_deref(), Some("order.paid"));
        assert_eq!(letters[0].idempotency_key.as_deref(), Some("k1"));
        assert_eq!(letters[0].sent_at, letters[0].stated_at);
        assert_eq!(letters[0].receives, Some(4));
        assert_eq!(letters[0].error.last_error, "Task timed out after 30.00 seconds");
        assert_eq!(letters[0].error.code, None);
    }

    #[test]
    fn list_alone_one_message_and_a_topics_wrapping_are_read() {
        let wrapped = json!({"Type": "Notification", "Message": "{\"type\": \"a.b\"}"}).to_string();
        let message = json!({"messageId": "m1", "body": wrapped});
        assert_eq!(read_export(&json!([message])).unwrap()[0].event_type.as_deref(), Some("a.b"));
        assert_eq!(read_export(&message).unwrap().len(), 1);
        assert_eq!(read_export(&json!([])).unwrap(), []);
        let plain = json!([{"messageId": "m1", "body": "not JSON"}]);
        assert_eq!(read_export(&plain).unwrap()[0].body, "not JSON");
    }

    #[test]
    fn what_cannot_be_read_is_pointed_at() {
        let check = |export: Value, field: &str| {
            let error = read_export(&export).unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::InvalidFile, Some(field)), "{export}");
        };
        check(json!(3), "");
        check(json!({"stuff": []}), "");
        check(json!({"messages": {}}), "/messages");
        check(json!({"messages": [{"body": {}}]}), "/messages/0/messageId");
        check(json!([{"messageId": "m"}]), "/0/body");
        check(json!([7]), "/0");
        let time = json!([{"messageId": "m", "body": {}, "attributes": {"SentTimestamp": "noon"}}]);
        check(time, "/0/attributes/SentTimestamp");
    }
}
