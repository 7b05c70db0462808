//! What in a set of dead letters does not fit together: times, receives, errors, and sums.
//!
//! A wrong clock or a wrong sum does not change a verdict, but whoever orders letters by time, or trusts the
//! summary, should know.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Action, ErrorText, Letter, Share, Statement, causes, verdict};

/// Clocks of two machines may well differ by this much.
const CLOCK_MS: i64 = 1_000;
/// Longer between an event and its sending is worth a word.
const LATE_MS: i64 = 300_000;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inconsistency {
    /// Stable, kebab-case.
    pub kind: &'static str,
    pub message: String,
    /// By how much two times differ, where that is it.
    pub difference_ms: Option<i64>,
    /// The letters that show it; empty if it is about the export as a whole.
    pub message_ids: Vec<String>,
}

/// Everything that does not fit.
pub fn inconsistencies(letters: &[Letter], statement: &Statement) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    times(letters, &mut found);
    repeated_ids(letters, &mut found);
    errors(letters, &mut found);
    receives(letters, statement, &mut found);
    sums(letters, statement, &mut found);
    stated_reasons(letters, statement, &mut found);
    found
}

/// Compares when a message was sent with when its body says that it happened, and with its first receive.
fn times(letters: &[Letter], found: &mut Vec<Inconsistency>) {
    let mut by_difference: BTreeMap<i64, Vec<&Letter>> = BTreeMap::new();
    let mut received_early = BTreeMap::new();
    for letter in letters {
        let Some(sent_at) = letter.sent_at else { continue };
        if let Some(stated_at) = letter.stated_at {
            let difference_ms = stated_at.as_millisecond() - sent_at.as_millisecond();
            if !(-LATE_MS..=CLOCK_MS).contains(&difference_ms) {
                by_difference.entry(difference_ms).or_default().push(letter);
            }
        }
        if let Some(received_at) = letter.first_received_at {
            let difference_ms = sent_at.as_millisecond() - received_at.as_millisecond();
            if difference_ms > CLOCK_MS {
                received_early.entry(difference_ms).or_insert_with(Vec::new).push(letter);
            }
        }
    }
    for (difference_ms, letters_of_it) in by_difference {
        found.push(time_difference(difference_ms, &letters_of_it, letters.len()));
    }
    for (difference_ms, letters) in received_early {
        found.push(Inconsistency {
            kind: "received-before-sent",
            message: format!("first received {} s before they were sent", seconds(difference_ms)),
            difference_ms: Some(difference_ms),
            message_ids: ids(&letters),
        });
    }
}

fn time_difference(difference_ms: i64, of_it: &[&Letter], all: usize) -> Inconsistency {
    let amount = seconds(difference_ms.abs());
    let (kind, relation) = if difference_ms > 0 {
        ("sent-before-it-happened", "before")
    } else {
        ("sent-long-after-it-happened", "after")
    };
    let example = of_it.first().and_then(|letter| Some((letter.sent_at?, letter.stated_at?)));
    let example =
        example.map(|(sent, stated)| format!(" (for one, {sent} and {stated})")).unwrap_or_default();
    // The same difference to the millisecond is no delay: delays vary.
    let cause = match of_it.len() {
        1 => "",
        _ => {
            "; the difference is the same in each, so it comes from a clock or a conversion, not from a delay"
        }
    };
    Inconsistency {
        kind,
        message: format!(
            "{} of {all} letters were sent {amount} s {relation} the time in their body{example}{cause}",
            of_it.len()
        ),
        difference_ms: Some(difference_ms),
        message_ids: ids(of_it),
    }
}

fn repeated_ids(letters: &[Letter], found: &mut Vec<Inconsistency>) {
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in letters {
        *by_id.entry(&letter.message_id).or_default() += 1;
    }
    let repeated: Vec<String> =
        by_id.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id.to_owned()).collect();
    if !repeated.is_empty() {
        found.push(Inconsistency {
            kind: "exported-twice",
            message: format!("{} message ids come more than once in the export", repeated.len()),
            difference_ms: None,
            message_ids: repeated,
        });
    }
}

/// One error that tells two stories: refused is an answer, timed out is none.
fn errors(letters: &[Letter], found: &mut Vec<Inconsistency>) {
    let contradicts = |error: &ErrorText| {
        let text = error.last_error.to_lowercase();
        text.contains("refused") && (text.contains("etimedout") || text.contains("timed out"))
    };
    let of_it: Vec<&Letter> = letters.iter().filter(|letter| contradicts(&letter.error)).collect();
    if !of_it.is_empty() {
        found.push(Inconsistency {
            kind: "error-contradicts-itself",
            message: "the error says both that the connection was refused and that it timed out".to_owned(),
            difference_ms: None,
            message_ids: ids(&of_it),
        });
    }
}

/// A letter has been received as often as its queue allows; reading it from the dead letter queue counts once
/// more. Fewer is right for what was refused for good.
fn receives(letters: &[Letter], statement: &Statement, found: &mut Vec<Inconsistency>) {
    let Some(receives_max) = statement.receives_max else { return };
    let is_early = |letter: &&Letter| {
        let retryable = verdict(&letter.error).category.is_retryable();
        retryable && letter.receives.is_some_and(|receives| receives < receives_max)
    };
    let early: Vec<&Letter> = letters.iter().filter(is_early).collect();
    if !early.is_empty() {
        found.push(Inconsistency {
            kind: "dead-before-receives-were-used-up",
            message: format!(
                "{} letters of errors that pass were received less than {receives_max} times",
                early.len()
            ),
            difference_ms: None,
            message_ids: ids(&early),
        });
    }
    let is_late = |letter: &&Letter| letter.receives.is_some_and(|receives| receives > receives_max + 1);
    let late: Vec<&Letter> = letters.iter().filter(is_late).collect();
    if !late.is_empty() {
        found.push(Inconsistency {
            kind: "received-more-often-than-allowed",
            message: format!(
                "{} letters were received more often than {receives_max} times and one look at the dead letter queue",
                late.len()
            ),
            difference_ms: None,
            message_ids: ids(&late),
        });
    }
}

fn sums(letters: &[Letter], statement: &Statement, found: &mut Vec<Inconsistency>) {
    let shown = letters.len() as u64;
    let mut say = |kind, message| {
        found.push(Inconsistency { kind, message, difference_ms: None, message_ids: Vec::new() });
    };
    if let Some(total) = statement.letters.filter(|total| *total != shown) {
        let kind = if total > shown { "export-is-a-sample" } else { "more-letters-than-stated" };
        say(kind, format!("the export holds {shown} letters of {total}: proposals cover only those"));
    }
    let (Some(retry), Some(discard)) = (&statement.retry, &statement.discard) else { return };
    let sum = retry.count + discard.count;
    if let Some(total) = statement.letters.filter(|total| *total != sum) {
        let message = format!("{} to retry and {} not are {sum}, not {total}", retry.count, discard.count);
        say("summary-does-not-add-up", message);
    }
    for (name, share) in [("to retry", retry), ("not to retry", discard)] {
        let Some(stated) = share.percentage.filter(|_| sum > 0) else { continue };
        let exact = share.count as f64 * 100.0 / sum as f64;
        if (exact - stated).abs() > 0.06 {
            say(
                "percentage-is-wrong",
                format!("{} of {sum} {name} are {exact:.1} %, not {stated} %", share.count),
            );
        }
    }
    let redrive = letters.iter().filter(|letter| verdict(&letter.error).action == Action::Redrive).count();
    let stated = retry.count as f64 * 100.0 / (sum.max(1)) as f64;
    let seen = redrive as f64 * 100.0 / (shown.max(1)) as f64;
    if shown > 0 && (seen - stated).abs() >= 5.0 {
        say(
            "sample-differs-from-summary",
            format!(
                "{redrive} of {shown} letters ({seen:.1} %) are to redrive, the summary says {stated:.1} %"
            ),
        );
    }
}

/// The summary's own reasons: does the table agree with their heading, and is there a letter for each?
fn stated_reasons(letters: &[Letter], statement: &Statement, found: &mut Vec<Inconsistency>) {
    let shown: Vec<&str> = letters.iter().map(|letter| verdict(&letter.error).cause).collect();
    let mut check = |share: &Option<Share>, is_retry: bool| {
        for reason in share.iter().flat_map(|share| &share.reasons) {
            let error = ErrorText { reason: reason.clone(), ..ErrorText::default() };
            let (cause, _) = causes::find(&error);
            let mut say = |kind, message| {
                found.push(Inconsistency { kind, message, difference_ms: None, message_ids: Vec::new() });
            };
            if (cause.action == Action::Redrive) != is_retry {
                let heading = if is_retry { "to retry" } else { "not to retry" };
                say("reason-under-the-wrong-heading", format!("`{reason}` stands under what is {heading}"));
            }
            // What is deleted and what is not found are the same to the reader of a summary, and so are an
            // empty and an invalid message.
            let is_shown = shown.iter().any(|shown| *shown == cause.name || kin(shown) == kin(cause.name));
            if !is_shown && !letters.is_empty() {
                say(
                    "reason-without-a-letter",
                    format!("the summary names `{reason}`, but no letter here shows it"),
                );
            }
        }
    };
    check(&statement.retry, true);
    check(&statement.discard, false);
}

fn kin(cause: &str) -> &str {
    match cause {
        "gone" => "not-found",
        "empty-message" => "invalid-message",
        other => other,
    }
}

fn ids(letters: &[&Letter]) -> Vec<String> {
    letters.iter().map(|letter| letter.message_id.clone()).collect()
}

/// Milliseconds as seconds, without a fraction that is not there.
fn seconds(ms: i64) -> String {
    if ms % 1_000 == 0 { (ms / 1_000).to_string() } else { format!("{:.3}", ms as f64 / 1_000.0) }
}
