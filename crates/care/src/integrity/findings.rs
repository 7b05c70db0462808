//! Numbers as findings: whether a suspicion is believed, and how it is said.
//!
//! Not for: counting.

use std::collections::BTreeMap;

use posthaste_base::catalog::{ConstraintKind, Trigger};
use posthaste_report::{Confidence, Evidence, Finding, Object, Remedy, Severity, Skipped};

use super::check::{About, Belief, Check, Link, ticked};
use super::count::Counted;
use super::links::Candidate;
use super::tables::Tables;
use super::{Fault, Options};

/// Believed with so many rows, a suspicion may be broken by one of them whatever its share.
const ROWS_FOR_ONE: i64 = 5;

/// What came of a check that was counted.
pub(super) enum Verdict {
    Holds,
    Broken(Box<Fault>),
    /// So many rows break it that it is how the data is meant.
    Meant(Skipped),
}

pub(super) fn judge(tables: &Tables<'_>, options: &Options, check: Check, counted: Counted) -> Verdict {
    if counted.rows == 0 {
        return Verdict::Holds;
    }
    let surplus = counted.more.iter().find(|(name, _)| *name == "surplus").map(|(_, surplus)| *surplus);
    if let Some(share) = share_max(&check) {
        let breaking = surplus.unwrap_or(counted.rows);
        let allowed = (share * counted.of as f64).max(if counted.of >= ROWS_FOR_ONE { 1.0 } else { 0.0 });
        if breaking as f64 > allowed {
            let about = check.about();
            let percent = 100.0 * breaking as f64 / counted.of.max(1) as f64;
            let what = format!("{} by {} in `{}`", about.code, ticked(&about.columns), shown(about));
            let why = format!(
                "{percent:.0} % of {} {}, so that it is taken as meant",
                rows(counted.of),
                about.says
            );
            return Verdict::Meant(Skipped { what, why });
        }
    }
    let finding = finding(tables, options, &check, &counted);
    Verdict::Broken(Box::new(Fault { finding, check }))
}

fn share_max(check: &Check) -> Option<f64> {
    let belief = match check {
        Check::Row(check) => check.belief,
        Check::Group(check) => check.belief,
        Check::Orphan(check) => check.belief,
        // These were believed before they were counted, or are the user's own.
        Check::Total(_) | Check::Query(_) => Belief::Declared,
    };
    match belief {
        Belief::Declared => None,
        Belief::AtMost(share) => Some(share),
    }
}

fn finding(tables: &Tables<'_>, options: &Options, check: &Check, counted: &Counted) -> Finding {
    let about = check.about();
    let mut finding = Finding::new(about.code, about.severity, message(options, check, counted));
    finding.object = object(check);
    finding.confidence = about.confidence;
    finding.counts = counts(options, counted);
    let mut evidence = about.evidence.clone();
    evidence.extend(counted.evidence.iter().cloned());
    if let Check::Orphan(check) = check {
        cause(tables, &check.link, check.belief, &mut evidence, &mut finding.depends_on);
    }
    if !counted.samples.is_empty() {
        evidence.push(format!("such as: {}", counted.samples.join("; ")));
    }
    if let Some(percent) = options.sample_percent {
        evidence.push(format!("an estimate: {percent} % of it was read"));
        finding.confidence = finding.confidence.max(Confidence::Likely);
    }
    finding.evidence = evidence.into_iter().map(|text| Evidence { text, age_s: None }).collect();
    finding.depends_on.extend(about.depends_on.iter().cloned());
    finding.remedy = Some(Remedy { text: remedy(check).into(), steps: Vec::new() });
    finding
}

fn message(options: &Options, check: &Check, counted: &Counted) -> String {
    let about = check.about();
    let scaled = |count: i64| estimated(options, count);
    let about_so_many = if options.sample_percent.is_some() { "about " } else { "" };
    let count = scaled(counted.rows);
    let says = conjugated(&about.says, count);
    if matches!(check, Check::Query(_)) {
        return format!("{about_so_many}{} {says}", rows(count));
    }
    let of = if counted.of > 0 { format!(" of {}", scaled(counted.of)) } else { String::new() };
    let noun = if counted.of > 0 || count != 1 { "rows" } else { "row" };
    let groups = counted.more.iter().find(|(name, _)| *name == "groups").map(|(_, groups)| scaled(*groups));
    let groups = groups.map(|groups| format!(", with {}", counted_as(groups, "value"))).unwrap_or_default();
    format!("{about_so_many}{count}{of} {noun} of `{}` {says}{groups}", shown(about))
}

fn object(check: &Check) -> Object {
    let about = check.about();
    let is_named = about.name.is_some();
    let kind = match check {
        Check::Query(_) if about.code == "exclusion-violated" => "constraint",
        Check::Query(_) => "rule",
        _ if about.code == "rule-broken" => "rule",
        Check::Group(_) if is_named => "index",
        _ if is_named => "constraint",
        _ => "table",
    };
    let is_known = !about.table.name.is_empty();
    Object {
        kind: kind.into(),
        schema: is_known.then(|| about.table.schema.clone()),
        table: is_known.then(|| about.table.name.clone()),
        name: about.name.clone(),
        columns: about.columns.clone(),
    }
}

fn counts(options: &Options, counted: &Counted) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    counts.insert("rows".into(), estimated(options, counted.rows));
    if counted.of > 0 {
        counts.insert("of".into(), estimated(options, counted.of));
    }
    counts.extend(counted.more.iter().map(|(name, count)| ((*name).into(), estimated(options, *count))));
    counts
}

fn estimated(options: &Options, count: i64) -> i64 {
    match options.sample_percent {
        Some(percent) if percent > 0.0 => (count as f64 * 100.0 / percent).round() as i64,
        _ => count,
    }
}

/// How rows may have come in that a reference does not allow.
fn cause(
    tables: &Tables<'_>,
    link: &Link,
    belief: Belief,
    evidence: &mut Vec<String>,
    depends_on: &mut Vec<String>,
) {
    if belief != Belief::Declared {
        return;
    }
    let disabled = |name: &posthaste_base::catalog::Name| {
        let is_off =
            |trigger: &&Trigger| trigger.is_internal && ["D", "R"].contains(&trigger.enabled.as_str());
        tables.find(name).is_some_and(|table| table.relation.triggers.iter().any(|trigger| is_off(&trigger)))
    };
    let off: Vec<&posthaste_base::catalog::Name> =
        [&link.child, &link.parent].into_iter().filter(|name| disabled(name)).collect();
    for name in &off {
        evidence
            .push(format!("triggers that keep references are disabled on `{}.{}`", name.schema, name.name));
    }
    let is_open = tables.find(&link.child).is_some_and(|table| {
        let mut keys = table.constraints(ConstraintKind::ForeignKey);
        keys.any(|key| key.columns == link.columns && (!key.is_validated || !key.is_enforced))
    });
    if off.is_empty() && !is_open {
        depends_on.push(
            "how these rows came in: through replication or a restore, or while triggers were disabled; nothing of \
             that is to be seen now"
                .into(),
        );
    }
}

fn remedy(check: &Check) -> &'static str {
    match check {
        Check::Orphan(_) => {
            "show, put aside, delete, re-point or unset them: `posthaste fix plan --policy orphans=...`"
        }
        Check::Group(check) if check.is_variant => {
            "decide which one is right; a unique index on lower(...) keeps it so"
        }
        Check::Group(_) => {
            "merge or rename them, then rebuild the index: `posthaste fix plan --policy duplicates=...`"
        }
        Check::Total(_) => {
            "compute them again once the items are known to be right: `posthaste fix plan --policy totals=recompute`"
        }
        Check::Row(check) if check.about.code == "negative-value" => {
            "find out where they come from; then `posthaste fix plan --policy negatives=clamp`, and a CHECK keeps it so"
        }
        Check::Row(_) => "find out where they come from, correct them, and let a constraint keep it so",
        Check::Query(check) if check.about.code == "exclusion-violated" => {
            "decide which of them stays, move or delete the others, then rebuild the constraint's index"
        }
        Check::Query(_) => "look at the rows; the rule's author knows what is right",
    }
}

/// That columns point somewhere, and that no foreign key says so.
pub(super) fn undeclared(candidate: &Candidate, values: i64, found: i64) -> Finding {
    let link = &candidate.link;
    let message = format!(
        "{} of `{}.{}` {} to `{}.{}` ({}), and no foreign key says so",
        ticked(&link.columns),
        link.child.schema,
        link.child.name,
        if link.columns.len() == 1 { "points" } else { "point" },
        link.parent.schema,
        link.parent.name,
        link.parent_columns.join(", ")
    );
    let mut finding = Finding::new("relation-undeclared", Severity::Info, message);
    finding.object = Object {
        kind: "table".into(),
        schema: Some(link.child.schema.clone()),
        table: Some(link.child.name.clone()),
        name: None,
        columns: link.columns.clone(),
    };
    finding.confidence = match (candidate.score, found == values) {
        (90.., _) => Confidence::Likely,
        (_, true) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    finding.counts = [("values".to_owned(), values), ("found".to_owned(), found)].into();
    let mut evidence =
        vec![format!("{found} of {values} different values that were looked up are keys there")];
    if link.by_text {
        evidence.push("the types differ, so that the values were compared as texts".into());
    }
    finding.evidence = evidence.into_iter().map(|text| Evidence { text, age_s: None }).collect();
    let text = match link.by_text {
        true => "give both columns one type, then declare a foreign key",
        false => "declare a foreign key once no row breaks it: `posthaste fix plan --constraints add`",
    };
    finding.remedy = Some(Remedy { text: text.into(), steps: Vec::new() });
    finding
}

fn shown(about: &About) -> String {
    format!("{}.{}", about.table.schema, about.table.name)
}

fn rows(count: i64) -> String {
    counted_as(count, "row")
}

fn counted_as(count: i64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// "have" of one row is "has".
fn conjugated(says: &str, count: i64) -> String {
    let (verb, rest) = says.split_once(' ').unwrap_or((says, ""));
    match (count, verb) {
        (1, "have") => format!("has {rest}").replace(" their ", " its "),
        (1, "point" | "share" | "break" | "link") => format!("{verb}s {rest}").replace(" their ", " its "),
        _ => says.to_owned(),
    }
}
