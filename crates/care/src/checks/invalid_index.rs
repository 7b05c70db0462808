//! Indexes that are not valid: a build that goes on, what a failed one left, and parents whose partitions lack theirs.
//!
//! Each kind needs something else, and dropping is right for some of them only. Not for: valid indexes that miss rows
//! (see `unique_index_broken`).

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Confidence, Finding, Severity, Step};

use super::indexes::{Index, SQL};
use crate::doctor::{
    Check, Facts, INDEX_OID, Judge, Needs, Outcome, Rows, Told, Unseen, bytes, counted, index, remedy,
};

pub(crate) const CHECK: Check = Check {
    code: "invalid-index",
    title: "indexes that are not valid, and what each needs",
    needs: Needs { hidden: Some("which indexes other roles are building is hidden"), ..Needs::NOTHING },
    judge: Judge::Rows(SQL, judge),
};

enum Kind {
    BeingBuilt,
    /// `_ccnew` or `_ccold` of a REINDEX CONCURRENTLY that failed: the original is there.
    Leftover,
    /// A drop that did not come to its end.
    HalfDropped,
    Parent,
    /// A build that failed, where a valid one does the same.
    Needless(String),
    Failed,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let indexes: Vec<Index> = rows.of()?;
    let invalid: Vec<&Index> = indexes.iter().filter(|one| !one.is_valid || !one.is_live).collect();
    let mut outcome =
        Outcome::line(format!("{} of {} are not valid", invalid.len(), counted(indexes.len(), "index")));
    for one in invalid {
        // A partition's part is mended on its own; its parent follows by itself.
        outcome.findings.push(finding(one, kind(one, &indexes), facts));
    }
    Ok(outcome)
}

fn kind(one: &Index, indexes: &[Index]) -> Kind {
    // Of large values only those that are not valid are known; the others are always there.
    let has_other = one.toast_of.is_some() || indexes.iter().any(|other| one.is_same_key(other));
    if one.is_being_built {
        Kind::BeingBuilt
    } else if one.is_partitioned() {
        Kind::Parent
    } else if !one.is_live {
        Kind::HalfDropped
    } else if is_of_reindex(&one.name) && has_other {
        Kind::Leftover
    } else {
        let twin = indexes
            .iter()
            .find(|other| other.is_valid && one.is_same_key(other) && (!one.is_unique || other.is_unique));
        twin.map_or(Kind::Failed, |twin| Kind::Needless(twin.name.clone()))
    }
}

/// `name_ccnew`, `name_ccold2`: what REINDEX CONCURRENTLY calls its own.
pub(crate) fn is_of_reindex(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.ends_with("_ccnew") || stem.ends_with("_ccold")
}

fn finding(one: &Index, kind: Kind, facts: &Facts) -> Finding {
    let size = bytes(one.pages * facts.block_bytes);
    let (severity, message, text, steps) = match kind {
        Kind::BeingBuilt => (
            Severity::Info,
            format!("{} is being built", one.name),
            "wait for the build to end; pg_stat_progress_create_index shows how far it is".to_owned(),
            Vec::new(),
        ),
        Kind::Leftover => (
            Severity::Medium,
            format!(
                "{} is left over from a REINDEX CONCURRENTLY that failed, takes {size} and is written to",
                one.name
            ),
            "drop it: the index that was to be built anew is there".to_owned(),
            vec![drop_step(one)],
        ),
        Kind::HalfDropped => (
            Severity::Medium,
            format!(
                "{} is left over from a DROP INDEX CONCURRENTLY that was stopped, and takes {size}",
                one.name
            ),
            "drop it again".to_owned(),
            vec![drop_step(one)],
        ),
        Kind::Needless(ref twin) => (
            Severity::Medium,
            format!("{} is left over from a build that failed, and {twin} does the same", one.name),
            "drop it".to_owned(),
            vec![drop_step(one)],
        ),
        Kind::Failed => (
            Severity::High,
            format!(
                "{} is left over from a build that failed: nothing reads it, and every write pays for it",
                one.name
            ),
            failed_text(one),
            failed_steps(one, facts),
        ),
        Kind::Parent => {
            let lacking = one.lacking.as_deref().unwrap_or_default();
            (
                Severity::Medium,
                format!(
                    "{} is not valid: {} of the partitioned table {} no part of it",
                    one.name,
                    counted(lacking.len(), "partition"),
                    if lacking.len() == 1 { format!("{} has", one.table_name) } else { format!("{} have", one.table_name) }
                ),
                "build the index on each of these partitions beside the writes, and attach it; the parent becomes valid \
                 with the last one. It cannot be dropped concurrently"
                    .to_owned(),
                parent_steps(one, facts),
            )
        }
    };
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(index(&one.schema, &one.table_name, &one.name))
        .count("bytes", one.pages * facts.block_bytes);
    finding.counts.insert(INDEX_OID.to_owned(), one.oid);
    for lacking in one.lacking.iter().flatten() {
        let name = Name::new(lacking.schema.as_str(), lacking.name.as_str());
        finding = finding.evidence(format!("{} lacks it", name.quoted()));
    }
    if let Some(table) = &one.toast_of {
        finding = finding.evidence(format!("it is of the large values of {}", table.quoted()));
    }
    if one.hidden_builds > 0 && severity != Severity::Info {
        finding = finding
            .sure(Confidence::Possible)
            .depends_on("whether it is one of the indexes that another role is building just now");
    }
    finding.remedy(text, if one.hidden_builds > 0 { Vec::new() } else { steps })
}

fn drop_step(one: &Index) -> Step {
    let mut step = remedy::drop_index(one.oid, &one.index_name(), &one.table(), false);
    // Nobody wants it back.
    step.needs_no_undo = true;
    step
}

fn failed_text(one: &Index) -> String {
    if one.is_exclusion {
        return "drop the exclusion constraint and add it again: it cannot be built concurrently".to_owned();
    }
    let unique =
        if one.is_unique { "look for duplicates first, for the build fails on them again; " } else { "" };
    format!(
        "{unique}build it anew beside the writes, or drop it; CREATE INDEX IF NOT EXISTS would say that it exists and \
         leave it as it is"
    )
}

fn failed_steps(one: &Index, facts: &Facts) -> Vec<Step> {
    if one.is_exclusion {
        return Vec::new();
    }
    vec![remedy::reindex(one.oid, &one.index_name(), &one.table(), one.pages, facts.block_bytes)]
}

/// A build and an attachment for each partition. What the definition says after `USING` serves for all of them.
fn parent_steps(one: &Index, facts: &Facts) -> Vec<Step> {
    let (Some(lacking), Some(made)) =
        (&one.lacking, one.definition.as_deref().and_then(|text| after_using(one, text)))
    else {
        return Vec::new();
    };
    // A partition that is partitioned itself needs an index of its own kind first.
    if one.is_unique || lacking.iter().any(|leaf| leaf.kind != "r") {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for leaf in lacking {
        let table = Name::new(leaf.schema.as_str(), leaf.name.as_str());
        let name = remedy::new_name(&leaf.name, std::slice::from_ref(&one.name), "part", &[]);
        steps.extend(remedy::build_part(
            &one.index_name(),
            &table,
            leaf.oid,
            leaf.pages,
            &name,
            made,
            facts.block_bytes,
        ));
    }
    steps
}

fn after_using<'a>(one: &Index, definition: &'a str) -> Option<&'a str> {
    let table = one.table();
    let name = quote::identifier(&one.name);
    let made = definition.strip_prefix("CREATE")?.strip_prefix(" INDEX ")?;
    let head = |only: &str| format!("{name} ON {only}{} USING ", table.quoted());
    made.strip_prefix(&head("ONLY ")).or_else(|| made.strip_prefix(&head("")))
}

#[cfg(test)]
mod tests {
    use posthaste_report::Action;
    use serde_json::{Value, json};

    use super::super::indexes::row;
    use super::super::tests::{facts, judged};
    use super::*;

    fn check(name: &str, more: Value, severity: Severity, steps: &[&str]) {
        let valid = row(1, "valid", json!({"key": "7"}));
        let found = judged(&CHECK, &facts(), json!([valid, row(2, name, more)])).findings;
        assert_eq!(found.len(), 1, "{name}");
        let said: Vec<_> =
            found[0].remedy.as_ref().unwrap().steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!((found[0].severity, said.as_slice()), (severity, steps), "{name}");
    }

    #[test]
    fn each_kind_of_leftover_has_its_own_way() {
        let invalid = || json!({"is_valid": false});
        check("a", invalid(), Severity::High, &["reindex-2"]);
        check("a_ccnew1", json!({"is_valid": false, "key": "7"}), Severity::Medium, &["drop-index-2"]);
        // Somebody has called it that.
        check("a_ccnew1", invalid(), Severity::High, &["reindex-2"]);
        let toast = json!({"is_valid": false, "table_kind": "t", "toast_of": {"schema": "s", "name": "t"}});
        check("pg_toast_9_index_ccnew", toast, Severity::Medium, &["drop-index-2"]);
        check("a", json!({"is_valid": false, "key": "7"}), Severity::Medium, &["drop-index-2"]);
        check("a", json!({"is_valid": false, "is_live": false}), Severity::Medium, &["drop-index-2"]);
        check("a", json!({"is_valid": false, "is_being_built": true}), Severity::Info, &[]);
        check("a", json!({"is_valid": false, "hidden_builds": 1}), Severity::High, &[]);
        check("a", json!({"is_valid": false, "is_exclusion": true}), Severity::High, &[]);
    }

    #[test]
    fn a_parent_is_never_dropped_concurrently() {
        let parent = json!({"is_valid": false, "table_kind": "p", "table_name": "Whole",
            "definition": "CREATE INDEX whole_a ON ONLY public.\"Whole\" USING btree (a, b DESC) WHERE (a > 0)",
            "lacking": [{"oid": 9, "schema": "s", "name": "part 1", "kind": "r", "pages": 3}]});
        let found = judged(&CHECK, &facts(), json!([row(2, "whole_a", parent)])).findings;
        let steps = &found[0].remedy.as_ref().unwrap().steps;
        let statements: Vec<_> = steps
            .iter()
            .map(|step| match &step.action {
                Action::Alone { statement, .. } => statement.clone(),
                Action::Transaction { statements } => statements[0].clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            statements,
            [
                "create index concurrently \"part 1_whole_a_part\" on s.\"part 1\" using btree (a, b DESC) WHERE (a > 0)",
                "alter index public.whole_a attach partition s.\"part 1_whole_a_part\"",
            ]
        );
    }
}
