//! Groups of letters by cause, the order and pace in which to redrive them, and what must not be repeated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use posthaste_base::limits::{REDRIVE_DELAY_SECONDS_MAX, REDRIVE_MESSAGES_MAX};

use super::causes::{Cause, causes};
use super::{Action, Confidence, Duplicate, Group, Letter, Pace, RepeatRisk, Verdict};

/// A handful shows whether the cause has passed.
const CANARY: usize = 5;
const BATCH: usize = 100;
/// The jitter that the sources redrive with (requirements, H4): the least.
const JITTER_SECONDS_MIN: u64 = 5;

/// Words at the end of an event type's name that stand for something that must not happen twice.
const UNREPEATABLE: [&str; 20] = [
    "send",
    "sent",
    "submit",
    "submitted",
    "charge",
    "charged",
    "pay",
    "paid",
    "payment",
    "refund",
    "refunded",
    "transfer",
    "transferred",
    "order",
    "ordered",
    "book",
    "booked",
    "notify",
    "email",
    "sms",
];

/// Those to redrive first, in their order; then those that need work; then those to put away.
pub(super) fn group(letters: &[Letter], verdicts: &[Verdict]) -> Vec<Group> {
    let mut by_cause: BTreeMap<(&'static str, _), Vec<usize>> = BTreeMap::new();
    for (index, verdict) in verdicts.iter().enumerate() {
        by_cause.entry((verdict.cause, verdict.category)).or_default().push(index);
    }
    let mut groups: Vec<Group> =
        by_cause.into_values().map(|members| group_of(letters, verdicts, members)).collect();
    groups.sort_by_key(|group| {
        let rank =
            if group.action == Action::Redrive { cause_of(group).map_or(0, |cause| cause.rank) } else { 0 };
        // A group without any time comes after those with one.
        (group.action, rank, group.oldest.unwrap_or(Timestamp::MAX), group.cause, group.category)
    });
    let to_redrive = groups.iter_mut().filter(|group| group.action == Action::Redrive);
    for (index, group) in to_redrive.enumerate() {
        group.redrive = cause_of(group).map(|cause| pace(cause, group, index + 1));
    }
    groups
}

/// Event types to redrive that a receiver may only take once.
pub(super) fn repeat_risks(letters: &[Letter], verdicts: &[Verdict]) -> Vec<RepeatRisk> {
    let mut risks: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (letter, verdict) in to_redrive(letters, verdicts) {
        let event_type = letter.event_type.as_deref().unwrap_or("(no type)");
        if verdict.needs_idempotent_receiver || is_unrepeatable(event_type) {
            let (count, unknown) = risks.entry(event_type).or_default();
            *count += 1;
            *unknown += usize::from(verdict.needs_idempotent_receiver);
        }
    }
    let risk = |(event_type, (count, unknown)): (&str, (usize, usize))| {
        let reason = match (is_unrepeatable(event_type), unknown) {
            (true, 0) => "by its name it does something that must not be done twice".to_owned(),
            (true, unknown) => format!(
                "by its name it does something that must not be done twice, and {unknown} of them may have taken effect"
            ),
            (false, unknown) => format!("{unknown} of them may have taken effect before the error"),
        };
        RepeatRisk { event_type: event_type.to_owned(), count, reason }
    };
    risks.into_iter().map(risk).collect()
}

/// Letters to redrive that are the same to a receiver that goes by the key. Without an idempotency key, the
/// correlation id together with the type and the body stands for it.
pub(super) fn duplicates(letters: &[Letter], verdicts: &[Verdict]) -> Vec<Duplicate> {
    let mut by_key: BTreeMap<String, Vec<(Option<Timestamp>, String)>> = BTreeMap::new();
    for (letter, _) in to_redrive(letters, verdicts) {
        let event_type = letter.event_type.as_deref().unwrap_or_default();
        let key = match (&letter.idempotency_key, &letter.correlation_id) {
            (Some(key), _) => key.clone(),
            (None, Some(id)) => format!("{event_type} {id} {}", letter.body),
            (None, None) => continue,
        };
        by_key.entry(key).or_default().push((letter.sent_at, letter.message_id.clone()));
    }
    let repeated = by_key.into_iter().filter(|(_, messages)| messages.len() > 1);
    repeated
        .map(|(key, mut messages)| {
            messages.sort();
            Duplicate { key, message_ids: messages.into_iter().map(|(_, id)| id).collect() }
        })
        .collect()
}

fn to_redrive<'a>(
    letters: &'a [Letter],
    verdicts: &'a [Verdict],
) -> impl Iterator<Item = (&'a Letter, &'a Verdict)> {
    letters.iter().zip(verdicts).filter(|(_, verdict)| verdict.action == Action::Redrive)
}

fn is_unrepeatable(event_type: &str) -> bool {
    let last = event_type.rsplit(['.', '_', '-', '/']).next().unwrap_or_default().to_lowercase();
    UNREPEATABLE.contains(&last.as_str())
}

fn group_of(letters: &[Letter], verdicts: &[Verdict], mut members: Vec<usize>) -> Group {
    let when = |index: &usize| letters[*index].sent_at.or(letters[*index].stated_at);
    members.sort_by_key(|index| (when(index).unwrap_or(Timestamp::MAX), *index));
    let verdict = &verdicts[members[0]];
    let mut event_types = BTreeMap::new();
    for index in &members {
        if let Some(event_type) = &letters[*index].event_type {
            *event_types.entry(event_type.clone()).or_default() += 1;
        }
    }
    Group {
        cause: verdict.cause,
        category: verdict.category,
        action: verdict.action,
        reason: verdict.reason.clone(),
        confidence: members.iter().map(|index| verdicts[*index].confidence).min().unwrap_or(Confidence::Low),
        needs_idempotent_receiver: verdict.needs_idempotent_receiver,
        count: members.len(),
        oldest: members.iter().filter_map(when).min(),
        newest: members.iter().filter_map(when).max(),
        event_types,
        message_ids: members.iter().map(|index| letters[*index].message_id.clone()).collect(),
        redrive: None,
    }
}

fn cause_of(group: &Group) -> Option<&'static Cause> {
    causes().iter().find(|cause| cause.name == group.cause)
}

fn pace(cause: &Cause, group: &Group, position: usize) -> Pace {
    let per_second = u64::from(cause.per_second.max(1));
    let seconds_about = (group.count as u64).div_ceil(per_second);
    let batch = BATCH.min(group.count).min(REDRIVE_MESSAGES_MAX);
    // The batch is spread over the time that it takes at this pace, so that it does not arrive in one burst.
    let jitter_seconds = (batch as u64).div_ceil(per_second).max(JITTER_SECONDS_MIN);
    let place = match cause.rank {
        0 => "connections come first: nothing else gets through without them",
        1 => "after the connections themselves",
        2 | 3 => "after the connections, for it needs them and puts load on what was slow",
        _ => "last, for it depends on others being well",
    };
    let repeat = if group.needs_idempotent_receiver {
        "; only to a receiver that recognises repeats by the idempotency key"
    } else {
        ""
    };
    Pace {
        position,
        canary: CANARY.min(group.count),
        batch,
        per_second: cause.per_second.max(1),
        jitter_seconds: jitter_seconds.min(u64::from(REDRIVE_DELAY_SECONDS_MAX)) as u32,
        seconds_about,
        reason: format!("{place}; {per_second} a second at most{repeat}"),
    }
}
