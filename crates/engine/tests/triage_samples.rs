//! Triage of the sample export: the right verdict for each letter from its error alone, and what does not fit.

use posthaste_base::Category;
use posthaste_engine::triage::{
    Action, Letter, Statement, Triage, read_export, read_statement, triage_against, verdict,
};
use serde_json::Value;

const SAMPLE: &str = include_str!("samples/sqs_dlq_messages.json");

fn export() -> Value {
    serde_json::from_str(SAMPLE).unwrap()
}

/// The export without what a person noted.
fn without_notes() -> Value {
    let mut export = export();
    for message in export["sampleMessages"].as_array_mut().unwrap() {
        assert!(message.as_object_mut().unwrap().remove("note").is_some());
    }
    export
}

fn letters() -> Vec<Letter> {
    read_export(&without_notes()).unwrap()
}

/// The queue's limit stands in another file of the incident: three receives.
fn statement() -> Statement {
    Statement { receives_max: Some(3), ..read_statement(&export()) }
}

fn sorted_out() -> Triage {
    triage_against(&letters(), &statement())
}

fn messages_of(triage: &Triage, kind: &str) -> Vec<String> {
    triage
        .inconsistencies
        .iter()
        .filter(|found| found.kind == kind)
        .map(|found| found.message.clone())
        .collect()
}

#[test]
fn each_letter_gets_the_right_verdict_from_its_error_alone() {
    let expected = [
        ("connect-timeout", Category::Transient, Action::Redrive, false),
        ("pool-exhausted", Category::Transient, Action::Redrive, false),
        ("task-timeout", Category::Timeout, Action::Redrive, true),
        ("query-timeout", Category::Timeout, Action::Redrive, true),
        ("not-found", Category::Permanent, Action::Discard, false),
        ("empty-message", Category::Validation, Action::Discard, false),
        ("connection-refused", Category::Transient, Action::Redrive, false),
    ];
    for (letter, expected) in letters().iter().zip(expected) {
        let verdict = verdict(&letter.error);
        let found = (verdict.cause, verdict.category, verdict.action, verdict.needs_idempotent_receiver);
        assert_eq!(found, expected, "{:?}", letter.error);
    }
}

#[test]
fn verdicts_agree_with_the_notes() {
    let export = export();
    let notes = export["sampleMessages"].as_array().unwrap();
    for (letter, message) in letters().iter().zip(notes) {
        let note = message["note"].as_str().unwrap();
        let action = verdict(&letter.error).action;
        match note.split(" - ").next() {
            Some("SAFE TO RETRY") => assert_eq!(action, Action::Redrive, "{note}"),
            Some("DO NOT RETRY") => assert!(matches!(action, Action::Discard | Action::Transform), "{note}"),
            _ => panic!("a note of another kind: {note}"),
        }
    }
}

#[test]
fn notes_are_not_read() {
    assert_eq!(read_export(&export()).unwrap(), letters());
}

#[test]
fn either_half_of_the_error_is_enough_to_tell_redrive_from_discard() {
    for letter in letters() {
        let action = verdict(&letter.error).action == Action::Redrive;
        let mut error = letter.error.clone();
        error.reason.clear();
        assert_eq!(verdict(&error).action == Action::Redrive, action, "{error:?}");
        let mut error = letter.error.clone();
        error.last_error.clear();
        assert_eq!(verdict(&error).action == Action::Redrive, action, "{error:?}");
    }
}

#[test]
fn groups_are_redriven_connections_first_and_timeouts_last() {
    let triage = sorted_out();
    let order: Vec<(&str, Option<usize>)> = triage
        .groups
        .iter()
        .map(|group| (group.cause, group.redrive.as_ref().map(|pace| pace.position)))
        .collect();
    assert_eq!(
        order,
        [
            ("connect-timeout", Some(1)),
            ("connection-refused", Some(2)),
            ("pool-exhausted", Some(3)),
            ("task-timeout", Some(4)),
            ("query-timeout", Some(5)),
            ("not-found", None),
            ("empty-message", None),
        ]
    );
    assert_eq!(triage.actions[&Action::Redrive], 5);
    assert_eq!(triage.actions[&Action::Discard], 2);
    let pace = triage.groups[3].redrive.as_ref().unwrap();
    assert_eq!((pace.canary, pace.per_second, pace.jitter_seconds), (1, 2, 5));
    assert!(pace.reason.contains("recognises repeats"), "{}", pace.reason);
}

#[test]
fn types_that_must_not_be_repeated_are_named() {
    let risks: Vec<String> = sorted_out().repeat_risks.into_iter().map(|risk| risk.event_type).collect();
    // The application by its name; the posting and one recommendation because their calls timed out.
    assert_eq!(risks, ["job.posted", "user.application.submitted", "user.recommendation.generated"]);
}

#[test]
fn every_letter_was_sent_ten_minutes_before_its_body_says() {
    let triage = sorted_out();
    let found: Vec<_> =
        triage.inconsistencies.iter().filter(|found| found.kind == "sent-before-it-happened").collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].difference_ms, Some(600_000));
    assert_eq!(found[0].message_ids.len(), 7);
    assert!(
        found[0].message.contains("2024-01-15T14:04:59.999Z and 2024-01-15T14:14:59.999Z"),
        "{}",
        found[0].message
    );
}

#[test]
fn sums_and_errors_are_checked() {
    let triage = sorted_out();
    assert_eq!(messages_of(&triage, "export-is-a-sample").len(), 1);
    assert_eq!(messages_of(&triage, "error-contradicts-itself").len(), 1);
    assert_eq!(
        messages_of(&triage, "reason-without-a-letter"),
        ["the summary names `Duplicate message (already processed)`, but no letter here shows it"]
    );
    assert_eq!(messages_of(&triage, "sample-differs-from-summary").len(), 1);
    // 198 + 36 is 234, the percentages are right, the headings too; four receives are three and the export's.
    let kinds = [
        "summary-does-not-add-up",
        "percentage-is-wrong",
        "reason-under-the-wrong-heading",
        "received-before-sent",
        "dead-before-receives-were-used-up",
        "received-more-often-than-allowed",
    ];
    for kind in kinds {
        assert_eq!(messages_of(&triage, kind), [""; 0]);
    }
}

#[test]
fn wrong_sums_and_receives_are_found() {
    let mut statement = Statement { letters: Some(240), receives_max: Some(5), ..statement() };
    statement.retry.as_mut().unwrap().percentage = Some(80.0);
    let triage = triage_against(&letters(), &statement);
    assert_eq!(messages_of(&triage, "summary-does-not-add-up"), ["198 to retry and 36 not are 234, not 240"]);
    assert_eq!(messages_of(&triage, "percentage-is-wrong"), ["198 of 234 to retry are 84.6 %, not 80 %"]);
    assert_eq!(messages_of(&triage, "dead-before-receives-were-used-up").len(), 1);
}

#[test]
fn same_letter_twice_is_seen() {
    let mut letters = letters();
    let mut copy = letters[0].clone();
    copy.message_id = "another".into();
    letters.push(copy);
    let triage = triage_against(&letters, &Statement::default());
    assert_eq!(triage.duplicates.len(), 1);
    assert_eq!(triage.duplicates[0].message_ids.len(), 2);
    letters[7].message_id = letters[0].message_id.clone();
    let triage = triage_against(&letters, &Statement::default());
    assert_eq!(messages_of(&triage, "exported-twice").len(), 1);
}

#[test]
fn result_is_plain_data() {
    let json = serde_json::to_value(sorted_out()).unwrap();
    assert_eq!(json["groups"][0]["action"], "redrive");
    assert_eq!(json["actions"]["discard"], 2);
}
