//! One index for what two checks ask for: what statements need may also serve a foreign key.
//!
//! Not for: indexes that are there already (see `checks::duplicate_index`).

use posthaste_report::Finding;

/// A foreign key whose columns are the head of an index that statements ask for gets that index, and none of its own:
/// the next diagnosis would call it a duplicate.
pub(super) fn share_indexes(findings: &mut [Finding]) {
    let wanted: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.code == "missing-index" && is_ordered(finding))
        .cloned()
        .collect();
    for key in findings.iter_mut().filter(|finding| finding.code == "foreign-key-without-index") {
        let serves = |other: &&Finding| {
            other.object.schema == key.object.schema
                && other.object.table == key.object.table
                && is_head(&key.object.columns, &other.object.columns)
        };
        let Some(other) = wanted.iter().find(serves) else { continue };
        let (Some(own), Some(remedy)) = (key.remedy.as_mut(), &other.remedy) else { continue };
        if own.steps.is_empty() {
            continue;
        }
        own.steps.clone_from(&remedy.steps);
        own.text = format!(
            "build the index on ({}) that statements ask for too (missing-index): it serves the key",
            other.object.columns.join(", ")
        );
    }
}

/// A trigram index finds patterns, and no keys.
fn is_ordered(finding: &Finding) -> bool {
    let steps = finding.remedy.iter().flat_map(|remedy| &remedy.steps);
    !finding.object.columns.is_empty() && steps.into_iter().all(|step| !step.id.ends_with("_trgm_idx"))
}

/// A key is served by an index that begins with its columns, in whichever order.
fn is_head(key: &[String], index: &[String]) -> bool {
    !key.is_empty()
        && index.get(..key.len()).is_some_and(|head| key.iter().all(|column| head.contains(column)))
}

#[cfg(test)]
mod tests {
    use posthaste_report::{Action, Object, Remedy, Severity, Step};

    use super::*;

    fn finding(code: &str, columns: &[&str], step: &str) -> Finding {
        let mut finding = Finding::new(code, Severity::Medium, "");
        finding.object = Object {
            table: Some("t".into()),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            ..Object::default()
        };
        let steps = vec![Step::new(step, "", Action::Manual { about: String::new() })];
        finding.remedy = Some(Remedy { text: String::new(), steps });
        finding
    }

    fn check(key: &[&str], index: &[&str], name: &str, expected: &str) {
        let mut findings =
            vec![finding("foreign-key-without-index", key, "own"), finding("missing-index", index, name)];
        share_indexes(&mut findings);
        assert_eq!(findings[0].remedy.as_ref().expect("a remedy").steps[0].id, expected, "{key:?} {index:?}");
    }

    #[test]
    fn a_wider_index_serves_a_key_too() {
        check(&["a"], &["a", "b"], "wide", "wide");
        check(&["b", "a"], &["a", "b", "c"], "wide", "wide");
        check(&["b"], &["a", "b"], "wide", "own");
        check(&["a", "b"], &["a"], "wide", "own");
        check(&["a"], &["a"], "t_a_trgm_idx", "own");
    }
}
