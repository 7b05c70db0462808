//! What was found against what is expected: found, false, and exact to the number.

use std::collections::BTreeMap;

use posthaste_care::integrity::{self, Options, Outcome};
use posthaste_report::Finding;
use posthaste_testkit::db::TestDb;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Expected {
    finding: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    code: String,
    #[serde(default)]
    schema: Option<String>,
    table: String,
    columns: Vec<String>,
    #[serde(default)]
    counts: BTreeMap<String, i64>,
}

impl Fault {
    fn is(&self, finding: &Finding) -> bool {
        finding.code == self.code
            && finding.object.table.as_ref() == Some(&self.table)
            && self.schema.as_ref().is_none_or(|schema| finding.object.schema.as_ref() == Some(schema))
            && finding.object.columns == self.columns
    }
}

pub(crate) async fn run(db: &TestDb, statements: &str) {
    let session = db.pool.get().await.expect("a connection");
    session.batch_execute(statements).await.expect("the statements to run");
}

pub(crate) async fn check(db: &TestDb, options: &Options) -> Outcome {
    integrity::check(&db.target, options, &|_| ()).await.expect("the check to end")
}

/// Every expected fault is found, once and with its numbers, and nothing else is.
pub(crate) fn score(outcome: &Outcome, expected: &str) {
    let expected: Expected = toml::from_str(expected).expect("the list of faults");
    let mut wrong = Vec::new();
    let mut unexplained: Vec<&Finding> = outcome.report.findings.iter().collect();
    for fault in &expected.finding {
        let found: Vec<&Finding> =
            outcome.report.findings.iter().filter(|finding| fault.is(finding)).collect();
        unexplained.retain(|finding| !fault.is(finding));
        match found.as_slice() {
            [one] => {
                let differ = fault.counts.iter().filter(|(name, count)| one.counts.get(*name) != Some(count));
                wrong.extend(differ.map(|(name, count)| {
                    format!("{name} should be {count}: {:?} {}", one.counts, one.message)
                }));
            }
            [] => wrong.push(format!("not found: {fault:?}")),
            many => wrong.push(format!("found {} times: {fault:?}", many.len())),
        }
    }
    wrong.extend(unexplained.iter().map(|finding| format!("false: {} {}", finding.code, finding.message)));
    assert!(wrong.is_empty(), "{}\nskipped: {:#?}", wrong.join("\n"), outcome.report.skipped);
}
