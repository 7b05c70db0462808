//! Triage of the dead letters that are here, or of a file of them: what to do with each group, and the very redrive
//! for it.
//!
//! Not for: the verdicts themselves (see the engine).

use std::collections::{BTreeMap, BTreeSet};

use posthaste_base::Result;
use posthaste_engine::triage::{
    Action, ErrorText, Group, Letter, Triage, read_export, read_statement, triage, triage_against,
};
use posthaste_store::dead::{self as store, DeadLetter, Order};
use serde::Serialize;
use serde_json::{Value, json};

use super::{COUNTED_MAX, DeadCountOut, DeadLetterFilter, find, out};
use crate::Broker;

/// Letters that are read: those of one redrive at most, so that a group always fits into one.
const LETTERS_MAX: usize = posthaste_base::limits::REDRIVE_MESSAGES_MAX;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TriageOut {
    pub triage: Triage,
    /// All dead letters of the queues that were asked about; empty for a file.
    pub counts: Vec<DeadCountOut>,
    /// There are older letters than the ones that were sorted out.
    pub is_partial: bool,
    /// For each group to redrive, in the order of the groups; empty for a file.
    pub redrives: Vec<GroupRedrive>,
}

/// The body of `POST /redrive/start` for one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRedrive {
    pub cause: &'static str,
    pub category: posthaste_base::Category,
    pub filter: DeadLetterFilter,
    pub max_messages: usize,
    pub per_message_delay_jitter: u32,
    pub rate_per_second: u32,
}

/// Triage of a file of dead letters: as a cloud queue exports them, or the lines of our own export in an array.
pub fn triage_file(export: &Value) -> Result<TriageOut> {
    let own = own_export(export);
    let export = own.as_ref().unwrap_or(export);
    let triage = triage_against(&read_export(export)?, &read_statement(export));
    Ok(TriageOut { triage, counts: Vec::new(), is_partial: false, redrives: Vec::new() })
}

/// Letters of our own export in the words that cloud queues use; none if these are not ours.
fn own_export(export: &Value) -> Option<Value> {
    let letters = export.as_array().filter(|letters| !letters.is_empty())?;
    letters.iter().map(own_letter).collect()
}

fn own_letter(letter: &Value) -> Option<Value> {
    letter.get("diedAt")?;
    let body = letter.get("payload").or_else(|| letter.get("payloadBase64"))?;
    Some(json!({
        "messageId": letter.get("id")?,
        "body": body,
        "attributes": {
            "SentTimestamp": letter.get("sentAt"),
            "ApproximateReceiveCount": letter.get("receives"),
        },
        "messageAttributes": { "type": letter.get("type") },
        "error": letter.get("error"),
        "code": letter.get("code"),
        "category": letter.get("category"),
    }))
}

impl Broker {
    /// Sorts out the newest 1,000 dead letters that no redrive has taken, of all queues or of one.
    pub async fn triage_dead(&self, queue: Option<&str>) -> Result<TriageOut> {
        let filter = DeadLetterFilter { queue: queue.map(str::to_owned), ..Default::default() };
        let mut selection = filter.selection(&self.catalog())?;
        selection.only_free = true;
        let session = self.pool().get().await?;
        let order = Order::NewestFirst;
        let mut found = find(&session, &selection, order, order.start(), LETTERS_MAX, usize::MAX).await?;
        found.ids.reverse();
        let letters = store::by_ids(&session, &found.ids, false).await?;
        let counts = out::counts(store::count(&session, selection.queue_id, COUNTED_MAX).await?, COUNTED_MAX);
        let is_partial = found.next.is_some();
        let triage = triage(&letters.iter().map(letter).collect::<Vec<_>>());
        let redrives = redrives(&triage, &letters, &filter, is_partial);
        Ok(TriageOut { triage, counts, is_partial, redrives })
    }
}

/// A letter goes by its own id here, which is what filters take. One message is never two letters, so nothing
/// is needed to tell repeats by.
fn letter(dead: &DeadLetter) -> Letter {
    Letter {
        message_id: dead.id.to_string(),
        event_type: dead.event_type.clone(),
        idempotency_key: None,
        correlation_id: None,
        sent_at: Some(dead.sent_at),
        first_received_at: None,
        stated_at: None,
        receives: u32::try_from(dead.receives).ok(),
        error: ErrorText {
            reason: String::new(),
            last_error: dead.error.clone(),
            code: Some(dead.code.clone()),
            category: dead.category.parse().ok(),
        },
        body: Value::Null,
    }
}

fn redrives(
    triage: &Triage,
    letters: &[DeadLetter],
    filter: &DeadLetterFilter,
    is_partial: bool,
) -> Vec<GroupRedrive> {
    let codes: BTreeMap<String, String> =
        letters.iter().map(|letter| (letter.id.to_string(), letter.code.to_lowercase())).collect();
    let categories: BTreeSet<String> = letters.iter().map(|letter| letter.category.to_lowercase()).collect();
    let of_group = |group: &Group| -> BTreeSet<&String> {
        group.message_ids.iter().filter_map(|id| codes.get(id)).collect()
    };
    let to_redrive = triage.groups.iter().filter(|group| group.action == Action::Redrive);
    to_redrive
        .filter_map(|group| {
            let pace = group.redrive.as_ref()?;
            let own = of_group(group);
            // A code is the shorter way to say it, where it selects this group's letters and no others.
            let is_shared = |code: &str| {
                categories.contains(code)
                    || triage.groups.iter().any(|other| {
                        !std::ptr::eq(other, group) && of_group(other).iter().any(|theirs| *theirs == code)
                    })
            };
            let code = own.first().filter(|code| own.len() == 1 && !is_partial && !is_shared(code));
            let filter = match code {
                Some(code) => DeadLetterFilter { error_type: Some((*code).clone()), ..filter.clone() },
                None => DeadLetterFilter::of_ids(
                    group.message_ids.iter().filter_map(|id| id.parse().ok()).collect(),
                ),
            };
            Some(GroupRedrive {
                cause: group.cause,
                category: group.category,
                filter,
                max_messages: pace.batch,
                per_message_delay_jitter: pace.jitter_seconds,
                rate_per_second: pace.per_second,
            })
        })
        .collect()
}
