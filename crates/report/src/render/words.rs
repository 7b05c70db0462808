//! The words in which every form says what a finding is about.
//!
//! Not for: marks of a form. What is returned here is not escaped for any of them.

use crate::{Action, Confidence, Effect, Finding, Lock, Locked, Object, Report, Step};

/// `migration.sql:3:1`, or nothing.
pub(super) fn place(finding: &Finding) -> Option<String> {
    let location = finding.location.as_ref()?;
    Some(format!("{}:{}:{}", location.file, location.line.max(1), location.column.max(1)))
}

/// `index public.users_email (email)`, or nothing when the finding is about no object.
pub(super) fn object(object: &Object) -> Option<String> {
    let own = object.name.as_deref().or(object.table.as_deref());
    let own = match (&object.schema, own) {
        (Some(schema), Some(own)) => Some(format!("{schema}.{own}")),
        (None, Some(own)) => Some(own.to_owned()),
        (Some(schema), None) => Some(schema.clone()),
        (None, None) => None,
    };
    let mut text = [Some(object.kind.clone()).filter(|kind| !kind.is_empty()), own]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    if let (Some(table), Some(_)) = (&object.table, &object.name) {
        text.push_str(" on ");
        text.push_str(table);
    }
    if !object.columns.is_empty() {
        text.push_str(&format!(" ({})", object.columns.join(", ")));
    }
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// `ACCESS EXCLUSIVE on table public.users`.
pub(super) fn lock(lock: &Lock) -> String {
    let (kind, name) = match &lock.on {
        Locked::Table(name) => ("table", name),
        Locked::Index(name) => ("index", name),
    };
    format!("{} on {kind} {}.{name}", lock.mode, lock.schema)
}

pub(super) fn effect(effect: Effect) -> Option<&'static str> {
    match effect {
        Effect::None => None,
        Effect::Scan => Some("reads every row"),
        Effect::Rewrite => Some("writes the table anew"),
    }
}

pub(super) fn confidence(confidence: Confidence) -> Option<&'static str> {
    match confidence {
        Confidence::Certain => None,
        Confidence::Likely => Some("likely"),
        Confidence::Possible => Some("possible"),
    }
}

/// `orphans 12, rows 2500000`.
pub(super) fn counts(finding: &Finding) -> Option<String> {
    let counts: Vec<String> = finding.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Each fact, with its age where that matters.
pub(super) fn evidence(finding: &Finding) -> Vec<String> {
    let text = |evidence: &crate::Evidence| match evidence.age_s {
        Some(age_s) => format!("{} ({} old)", evidence.text, age(age_s)),
        None => evidence.text.clone(),
    };
    finding.evidence.iter().map(text).collect()
}

pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A number of rows in few digits.
pub(super) fn amount(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{} k", count / 1_000),
        _ => format!("{}.{} M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// What a step does: its statements, or what a person does.
pub(super) fn statements(step: &Step) -> Vec<String> {
    match &step.action {
        Action::Transaction { statements } => statements.clone(),
        Action::Alone { statement, .. } => vec![statement.clone()],
        Action::Batches(batches) => batches.statements.clone(),
        Action::Check { sql } => vec![sql.clone()],
        Action::Manual { about } => vec![format!("-- {}", about.replace('\n', "\n-- "))],
    }
}

/// `1 critical, 2 high`, of those that there are.
pub(super) fn severities(report: &Report) -> String {
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts: Vec<String> = crate::Severity::ALL
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| format!("{} {severity}", count(severity)))
        .collect();
    counts.join(", ")
}

/// `review of migration.sql (PostgreSQL 15.18)`.
pub(super) fn title(report: &Report) -> String {
    let version = report
        .target
        .server_version
        .as_ref()
        .map(|version| format!(" (PostgreSQL {version})"))
        .unwrap_or_default();
    format!("{} of {}{version}", report.tool, report.target.name)
}

/// Control characters and those that turn the direction of writing, as escapes: they could hide what else is said,
/// or give orders to a terminal. `is_kept` says which may stay.
pub(super) fn visible(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_turning =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            c if is_kept(c) => shown.push(c),
            c if c.is_control() || is_turning || matches!(c, '\u{2028}' | '\u{2029}') => {
                shown.extend(c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Of one line.
pub(super) fn visible_line(text: &str) -> String {
    visible(text, |_| false)
}

/// Of several lines, as statements are.
pub(super) fn visible_lines(text: &str) -> String {
    visible(&text.replace("\r\n", "\n"), |c| c == '\n' || c == '\t')
}
