//! What to do with dead letters: a verdict for each from its error, groups by cause, the order and pace in which
//! to give them back, and what in the letters does not fit together.
//!
//! The verdict reads the error alone, never a person's note. Where the words leave it open, the verdict is the
//! one that loses nothing: a needless redrive fails again, a wrong discard is gone.
//!
//! Not for: failures that Posthaste saw itself (see `failure`), or carrying anything out; all of this is data.

mod causes;
mod export;
mod fit;
mod groups;
mod table;

use std::collections::BTreeMap;

use jiff::Timestamp;
use posthaste_base::Category;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use causes::{Cause, causes};
pub use export::{read_export, read_statement};
pub use fit::{Inconsistency, inconsistencies};

/// What a dead letter's error says, in the sender's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorText {
    /// The short reason, as `Database query timeout`.
    pub reason: String,
    /// The last error itself, as `QueryTimeout: Query exceeded 30000ms timeout`.
    pub last_error: String,
    /// A stable code, if the letter has one, as `http-503`.
    pub code: Option<String>,
    pub category: Option<Category>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    pub message_id: String,
    pub event_type: Option<String>,
    /// What the receiver can tell repeats by.
    pub idempotency_key: Option<String>,
    pub correlation_id: Option<String>,
    /// When it was sent to its queue, by the queue's clock.
    pub sent_at: Option<Timestamp>,
    pub first_received_at: Option<Timestamp>,
    /// When what it tells of happened, by the body's own words.
    pub stated_at: Option<Timestamp>,
    pub receives: Option<u32>,
    pub error: ErrorText,
    pub body: Value,
}

/// What an export says about all the letters of its queue, of which it may hold only some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    pub letters: Option<u64>,
    pub receives_max: Option<u32>,
    pub retry: Option<Share>,
    pub discard: Option<Share>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub count: u64,
    pub percentage: Option<f64>,
    pub reasons: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Give it back: the cause has passed, or passes by itself.
    Redrive,
    /// Something must be put right, or looked into, before a redrive can help.
    FixFirst,
    /// The message must be changed before anyone can take it.
    Transform,
    /// Keep it in the archive and do not send it again.
    Discard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// From the category alone, or from nothing.
    Low,
    /// From words in the text.
    Medium,
    /// From a code, an error's class or a status.
    High,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub category: Category,
    pub action: Action,
    /// The group: a name out of the table of causes.
    pub cause: &'static str,
    pub reason: String,
    /// The effect may have happened in spite of the error: a repeat is safe only where repeats are recognised.
    pub needs_idempotent_receiver: bool,
    pub confidence: Confidence,
}

/// The verdict on one dead letter, from its error alone.
pub fn verdict(error: &ErrorText) -> Verdict {
    let (cause, confidence) = causes::find(error);
    Verdict {
        category: error.category.unwrap_or(cause.category),
        action: cause.action,
        cause: cause.name,
        reason: cause.reason.to_owned(),
        needs_idempotent_receiver: cause.effect_unknown,
        confidence,
    }
}

/// A backlog of dead letters, sorted out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Triage {
    pub letters: usize,
    /// How many letters each action is proposed for.
    pub actions: BTreeMap<Action, usize>,
    /// Those to redrive come first, in the order in which to redrive them.
    pub groups: Vec<Group>,
    /// Event types among those to redrive that must not be repeated to a receiver that does not recognise
    /// repeats.
    pub repeat_risks: Vec<RepeatRisk>,
    /// Letters to redrive that carry the same key and type: the receiver needs only the first.
    pub duplicates: Vec<Duplicate>,
    pub inconsistencies: Vec<Inconsistency>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub cause: &'static str,
    pub category: Category,
    pub action: Action,
    pub reason: String,
    /// The lowest of its letters' verdicts.
    pub confidence: Confidence,
    pub needs_idempotent_receiver: bool,
    pub count: usize,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    pub event_types: BTreeMap<String, usize>,
    /// Oldest first.
    pub message_ids: Vec<String>,
    pub redrive: Option<Pace>,
}

/// When and how fast to redrive a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pace {
    /// From 1; a group is begun when the one before it has gone through.
    pub position: usize,
    /// Redrive this many first, and go on only if they succeed.
    pub canary: usize,
    /// Messages of one run after that.
    pub batch: usize,
    pub per_second: u32,
    pub jitter_seconds: u32,
    pub seconds_about: u64,
    /// Why in this place and at this pace.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepeatRisk {
    pub event_type: String,
    pub count: usize,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    pub key: String,
    pub message_ids: Vec<String>,
}

/// Sorts out a backlog.
pub fn triage(letters: &[Letter]) -> Triage {
    triage_against(letters, &Statement::default())
}

/// Sorts out a backlog, and compares it with what its export says of itself.
pub fn triage_against(letters: &[Letter], statement: &Statement) -> Triage {
    let verdicts: Vec<Verdict> = letters.iter().map(|letter| verdict(&letter.error)).collect();
    let mut actions = BTreeMap::new();
    for verdict in &verdicts {
        *actions.entry(verdict.action).or_default() += 1;
    }
    Triage {
        letters: letters.len(),
        actions,
        groups: groups::group(letters, &verdicts),
        repeat_risks: groups::repeat_risks(letters, &verdicts),
        duplicates: groups::duplicates(letters, &verdicts),
        inconsistencies: fit::inconsistencies(letters, statement),
    }
}
