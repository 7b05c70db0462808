//! The shape of a triage.
//!
//! Not for: how it comes about, which the engine decides.

use super::{COUNT, FILTER};
use crate::shape::{Kind, Shape, must, or_null};

const COUNTED: Kind = Kind::Int(0, i64::MAX);
const TEXTS: Kind = Kind::List(&Kind::Text);

pub(crate) static TRIAGE: Shape = Shape {
    name: "Triage",
    about: "Dead letters sorted out, with what to do about them.",
    fields: &[
        must("triage", Kind::Of(&SORTED), "The letters by cause."),
        must("counts", Kind::List(&Kind::Of(&COUNT)), "All dead letters that were asked about."),
        must("isPartial", Kind::Bool, "There are older letters than the ones that were sorted out."),
        must("redrives", Kind::List(&Kind::Of(&GROUP_REDRIVE)), "For each group to redrive, in that order."),
    ],
};

static SORTED: Shape = Shape {
    name: "TriageSorted",
    about: "Dead letters by cause.",
    fields: &[
        must("letters", COUNTED, "How many were looked at."),
        must("actions", Kind::Object, "How many letters each action is proposed for."),
        must("groups", Kind::List(&Kind::Of(&GROUP)), "Those to redrive first, in that order."),
        must("repeatRisks", Kind::List(&Kind::Of(&RISK)), "Event types that are not safe to repeat."),
        must("duplicates", Kind::List(&Kind::Of(&DUPLICATE)), "Letters with the same key and type."),
        must("inconsistencies", Kind::List(&Kind::Of(&INCONSISTENCY)), "What does not fit together."),
    ],
};

static GROUP: Shape = Shape {
    name: "TriageGroup",
    about: "Dead letters of one cause.",
    fields: &[
        must("cause", Kind::Text, "Its name."),
        must("category", Kind::Text, "VALIDATION, TRANSIENT, PERMANENT, TIMEOUT or PROCESSING."),
        must("action", Kind::OneOf(&["redrive", "fix-first", "transform", "discard"]), "What to do."),
        must("reason", Kind::Text, "Why."),
        must("confidence", Kind::OneOf(&["low", "medium", "high"]), "How sure that is."),
        must("needsIdempotentReceiver", Kind::Bool, "The effect may have happened in spite of the error."),
        must("count", COUNTED, "How many letters."),
        or_null("oldest", Kind::Time, "When the oldest was sent, or null."),
        or_null("newest", Kind::Time, "When the newest was sent, or null."),
        must("eventTypes", Kind::Object, "How many of each event type."),
        must("messageIds", TEXTS, "The dead letters' ids, the oldest first."),
        or_null("redrive", Kind::Of(&PACE), "When and how fast, or null."),
    ],
};

static PACE: Shape = Shape {
    name: "TriagePace",
    about: "When and how fast to redrive a group.",
    fields: &[
        must("position", COUNTED, "From 1: begun when the one before it has gone through."),
        must("canary", COUNTED, "Redrive this many first, and go on only if they succeed."),
        must("batch", COUNTED, "Messages of one run after that."),
        must("perSecond", COUNTED, "Messages a second."),
        must("jitterSeconds", COUNTED, "Spread over so long."),
        must("secondsAbout", COUNTED, "How long it takes, about."),
        must("reason", Kind::Text, "Why in this place and at this pace."),
    ],
};

static RISK: Shape = Shape {
    name: "TriageRepeatRisk",
    about: "An event type that must not be repeated to a receiver that does not recognise repeats.",
    fields: &[
        must("eventType", Kind::Text, "The type."),
        must("count", COUNTED, "How many letters."),
        must("reason", Kind::Text, "Why."),
    ],
};

static DUPLICATE: Shape = Shape {
    name: "TriageDuplicate",
    about: "Letters of which the receiver needs only the first.",
    fields: &[must("key", Kind::Text, "The key."), must("messageIds", TEXTS, "The letters.")],
};

static INCONSISTENCY: Shape = Shape {
    name: "TriageInconsistency",
    about: "What does not fit together.",
    fields: &[
        must("kind", Kind::Text, "What it is, by a stable name."),
        must("message", Kind::Text, "The same in words."),
        or_null("differenceMs", Kind::Int(i64::MIN, i64::MAX), "By how much two times differ, or null."),
        must("messageIds", TEXTS, "The letters that show it."),
    ],
};

static GROUP_REDRIVE: Shape = Shape {
    name: "TriageRedrive",
    about: "The body of `POST /redrive/start` for one group; its `filter` stands beside the others there.",
    fields: &[
        must("cause", Kind::Text, "The group."),
        must("category", Kind::Text, "Its category."),
        must("filter", Kind::Of(&FILTER), "Which letters."),
        must("maxMessages", COUNTED, "How many."),
        must("perMessageDelayJitter", COUNTED, "Spread over so many seconds."),
        must("ratePerSecond", COUNTED, "Messages a second."),
    ],
};
