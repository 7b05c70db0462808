//! The table of causes: how an error is recognised, and what to do about it.
//!
//! An error is matched in four passes, from the surest evidence to the weakest: its code, the class at the start
//! of its text (`ValidationError: ...`), an HTTP status in its text, and phrases. The first row that matches in
//! a pass wins, so the order of the rows matters: what passes by itself stands before what is thrown away, for
//! an error that speaks of both is better redriven in vain than discarded in error. Classes that say too little
//! (`TimeoutError`, `ETIMEDOUT`: waiting for a connection, a pool, or an answer?) are left to the phrases.

use posthaste_base::Category;

use super::table::TABLE;
use super::{Action, Confidence, ErrorText};

/// One row.
#[derive(Debug)]
pub struct Cause {
    pub name: &'static str,
    pub category: Category,
    pub action: Action,
    /// Whether what the message asks for may have been done before the error.
    pub effect_unknown: bool,
    /// The lower, the earlier to redrive: what everything else needs comes first.
    pub rank: u8,
    /// How fast to give such letters back.
    pub per_second: u32,
    pub codes: &'static [&'static str],
    /// Lower case, without punctuation.
    pub classes: &'static [&'static str],
    pub statuses: &'static [u16],
    /// Lower case; whole words.
    pub phrases: &'static [&'static str],
    pub reason: &'static str,
}

/// The table, for documentation and for the dashboard.
pub fn causes() -> &'static [Cause] {
    TABLE
}

pub(super) fn find(error: &ErrorText) -> (&'static Cause, Confidence) {
    if let Some(code) = error.code.as_deref().map(str::to_lowercase)
        && let Some(cause) = by_code(&code)
    {
        return (cause, Confidence::High);
    }
    let text = format!("{}\n{}", error.reason, error.last_error).to_lowercase();
    if names_missing_part(&text) {
        return (named("schema-behind"), Confidence::Medium);
    }
    let class = class_of(&error.last_error).or_else(|| class_of(&error.reason));
    if let Some(class) = class
        && let Some(cause) = TABLE.iter().find(|cause| cause.classes.contains(&class.as_str()))
    {
        return (refine(cause, &text), Confidence::High);
    }
    if let Some(cause) = status_in(&text).and_then(by_status) {
        return (cause, Confidence::High);
    }
    let by_phrase = TABLE.iter().find(|cause| cause.phrases.iter().any(|phrase| has_phrase(&text, phrase)));
    match by_phrase {
        Some(cause) => (cause, Confidence::Medium),
        None => (by_category(error.category), Confidence::Low),
    }
}

/// What a code says. Some of our own codes say only that the tries are used up: the text may say why.
fn by_code(code: &str) -> Option<&'static Cause> {
    if let Some(status) = code.strip_prefix("http-").and_then(|status| status.parse().ok()) {
        return by_status(status);
    }
    // A consumer may report its error's class as the code.
    let class = class_of(&format!("{code}:"));
    TABLE.iter().find(|cause| cause.codes.contains(&code)).or_else(|| {
        let class = class?;
        TABLE.iter().find(|cause| cause.classes.contains(&class.as_str()))
    })
}

fn by_status(status: u16) -> Option<&'static Cause> {
    let fallback = match status {
        300..=499 => "refused-by-endpoint",
        500..=599 => "server-error",
        _ => return None,
    };
    Some(TABLE.iter().find(|cause| cause.statuses.contains(&status)).unwrap_or_else(|| named(fallback)))
}

/// A message with nothing in it cannot be corrected by anyone but its producer.
fn refine(cause: &'static Cause, text: &str) -> &'static Cause {
    let empty = named("empty-message");
    let is_empty =
        cause.name == "invalid-message" && empty.phrases.iter().any(|phrase| has_phrase(text, phrase));
    if is_empty { empty } else { cause }
}

/// Whether what does not exist is a part of the system, not what the message is about: a missing table must not
/// get every letter discarded.
fn names_missing_part(text: &str) -> bool {
    const PARTS: [&str; 10] =
        ["relation", "column", "function", "table", "schema", "database", "role", "queue", "topic", "bucket"];
    ["does not exist", "doesn't exist", "not found"].iter().any(|missing| {
        text.match_indices(missing).any(|(start, _)| {
            let line = text[..start].rsplit('\n').next().unwrap_or_default();
            line.split_whitespace()
                .rev()
                .take(3)
                .any(|word| PARTS.contains(&word.trim_matches(|letter: char| !letter.is_alphanumeric())))
        })
    })
}

/// A row by its name; the last row says that nothing is known.
fn named(name: &str) -> &'static Cause {
    TABLE.iter().find(|cause| cause.name == name).unwrap_or(&TABLE[TABLE.len() - 1])
}

fn by_category(category: Option<Category>) -> &'static Cause {
    named(match category {
        Some(Category::Validation) => "invalid-message",
        Some(Category::Transient) => "passing-trouble",
        Some(Category::Timeout) => "no-answer",
        Some(Category::Permanent) => "refused-by-endpoint",
        Some(Category::Processing) => "consumer-failed",
        None => "unknown",
    })
}

/// The error's class at the start of a text, in lower case letters and digits: `NotFoundError: ...` gives
/// `notfounderror`, and so does `com.example.NotFoundError: ...`.
fn class_of(text: &str) -> Option<String> {
    let (class, _) = text.split_once(':')?;
    let class = class.trim();
    if class.is_empty() || class.contains(char::is_whitespace) {
        return None;
    }
    let class = class.rsplit('.').next().unwrap_or(class);
    Some(
        class.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect(),
    )
}

/// An HTTP status that the text names as one: a number alone may be anything.
fn status_in(text: &str) -> Option<u16> {
    const BEFORE: [&str; 8] =
        ["http", "http 1 0", "http 1 1", "http 2", "http 3", "status", "statuscode", "code"];
    let words: Vec<&str> =
        text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.iter().enumerate().find_map(|(index, word)| {
        let status: u16 =
            word.parse().ok().filter(|status| (300..=599).contains(status) && word.len() == 3)?;
        let before = words[index.saturating_sub(3)..index].join(" ");
        BEFORE.iter().any(|named| before.ends_with(named)).then_some(status)
    })
}

/// Whether the phrase stands in the text as whole words.
fn has_phrase(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = text[start + found.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(reason: &str, last_error: &str) -> &'static str {
        let error =
            ErrorText { reason: reason.into(), last_error: last_error.into(), ..ErrorText::default() };
        find(&error).0.name
    }

    #[test]
    fn errors_as_they_come_are_recognised() {
        let check =
            |last_error: &str, expected: &str| assert_eq!(cause("", last_error), expected, "{last_error}");
        check("ECONNREFUSED: connect ECONNREFUSED 10.0.1.50:5432", "connection-refused");
        check("Error: getaddrinfo ENOTFOUND hooks.example.com", "host-unknown");
        check("dial tcp: lookup db: no such host", "host-unknown");
        check("Error: certificate has expired", "certificate-refused");
        check("net/http: TLS handshake timeout", "connect-timeout");
        check("FATAL: sorry, too many clients already", "pool-exhausted");
        check("QueuePool limit of size 5 overflow 10 reached, connection timed out", "pool-exhausted");
        check("2024-01-15T14:20:30Z 8f2 Task timed out after 30.00 seconds", "task-timeout");
        check("canceling statement due to statement timeout", "query-timeout");
        check("ThrottlingException: Rate exceeded", "throttled");
        check("Request failed with status code 429", "throttled");
        check("Request failed with status code 503", "server-error");
        check("HTTP/1.1 502 Bad Gateway", "server-error");
        check("Request failed with status code 504", "no-answer");
        check("Request failed with status code 401", "access-denied");
        check("Request failed with status code 404", "not-found");
        check("HTTP 410", "gone");
        check("HTTP 418", "refused-by-endpoint");
        check("socket hang up", "connection-lost");
        check("read ETIMEDOUT", "no-answer");
        check(
            "TimeoutError: Knex: Timeout acquiring a connection. The pool is probably full.",
            "pool-exhausted",
        );
        check("JSONDecodeError: Expecting value: line 1 column 1", "unreadable-message");
        check("com.fasterxml.jackson.core.JsonParseException: Unexpected character", "unreadable-message");
        check("jsonschema.exceptions.ValidationError: 'amount' is a required property", "invalid-message");
        check("ResourceNotFoundException: job_1", "not-found");
        check("duplicate key value violates unique constraint \"events_key\"", "already-done");
        check("Message already processed", "already-done");
        check("ERROR: deadlock detected", "write-conflict");
        check("TypeError: Cannot read properties of undefined (reading 'id')", "consumer-failed");
        check("Runtime exited with error: signal: killed", "out-of-resources");
        check("it did not work", "unknown");
        check("", "unknown");
    }

    #[test]
    fn missing_table_is_not_a_deleted_subject() {
        let check = |last_error: &str| assert_eq!(cause("", last_error), "schema-behind", "{last_error}");
        check("NotFoundError: queue plooral-tasks not found");
        check("UndefinedTable: relation \"jobs\" does not exist");
        check("ERROR: relation \"jobs\" does not exist");
        check("column u.email_verified does not exist");
        check("function notify(integer) does not exist");
        check("Error: Cannot find module 'pg'");
    }

    #[test]
    fn what_passes_is_preferred_to_what_is_thrown_away() {
        assert_eq!(cause("", "timeout while checking whether it was already processed"), "no-answer");
        assert_eq!(cause("User not found", "connection refused"), "connection-refused");
    }

    #[test]
    fn number_is_a_status_only_where_it_is_called_one() {
        assert_eq!(status_in("status code 404"), Some(404));
        assert_eq!(status_in("http/1.1 404 not found"), Some(404));
        assert_eq!(status_in("statuscode: 500"), Some(500));
        assert_eq!(status_in("exceeded 500 ms"), None);
        assert_eq!(status_in("order 404 failed"), None);
        assert_eq!(status_in("active connections: 300/300"), None);
    }

    #[test]
    fn codes_of_our_own_are_surest_and_the_category_is_the_last_resort() {
        let find_by = |code: Option<&str>, category| {
            let (cause, confidence) =
                find(&ErrorText { code: code.map(str::to_owned), category, ..ErrorText::default() });
            (cause.name, confidence)
        };
        assert_eq!(find_by(Some("http-503"), None), ("server-error", Confidence::High));
        assert_eq!(find_by(Some("http-451"), None), ("refused-by-endpoint", Confidence::High));
        assert_eq!(find_by(Some("connect-refused"), None), ("connection-refused", Confidence::High));
        assert_eq!(find_by(Some("lease-expired"), None), ("task-timeout", Confidence::High));
        assert_eq!(find_by(Some("SchemaValidationError"), None), ("invalid-message", Confidence::High));
        assert_eq!(find_by(Some("receives-exhausted"), None), ("unknown", Confidence::Low));
        assert_eq!(find_by(None, Some(Category::Transient)), ("passing-trouble", Confidence::Low));
        assert_eq!(find_by(None, Some(Category::Validation)), ("invalid-message", Confidence::Low));
    }

    #[test]
    fn table_is_sound() {
        for (index, cause) in TABLE.iter().enumerate() {
            assert!(!cause.reason.is_empty(), "{}", cause.name);
            assert!(
                !TABLE[..index].iter().any(|other| other.name == cause.name),
                "{} comes twice",
                cause.name
            );
            for word in cause.classes.iter().chain(cause.phrases) {
                assert_eq!(*word, word.to_lowercase(), "{}", cause.name);
            }
            let passes = cause.category.is_retryable();
            assert!(cause.action != Action::Redrive || passes, "{} redrives what cannot pass", cause.name);
        }
    }
}
