//! Transactions that were prepared and then forgotten: they hold locks and the vacuum horizon through every restart.
//!
//! Not for: sessions.

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, remedy};

pub(crate) const CHECK: Check = Check {
    code: "prepared-transaction",
    title: "prepared transactions that nobody ends",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/prepared_transaction.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    gid: String,
    role_name: Option<String>,
    database: Option<String>,
    is_here: Option<bool>,
    age_s: f64,
    age_xids: i64,
    locks: i64,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut outcome = Outcome::line(match rows.first() {
        None => "no transaction is prepared".to_owned(),
        Some(oldest) => {
            format!(
                "{} prepared, the oldest {} ago",
                counted(rows.len(), "transaction"),
                duration(oldest.age_s)
            )
        }
    });
    for row in rows.iter().filter(|row| row.age_s >= facts.thresholds.prepared_transaction_s) {
        let role = row.role_name.as_deref().unwrap_or("a role that is gone");
        let database = row.database.as_deref().unwrap_or_default();
        let message = format!(
            "the prepared transaction {} of {role} in {database} has been open for {}",
            row.gid,
            duration(row.age_s)
        );
        // It can be ended only from its own database.
        let steps =
            if row.is_here == Some(true) { vec![remedy::rollback_prepared(&row.gid)] } else { Vec::new() };
        let object =
            Object { kind: "prepared-transaction".into(), name: Some(row.gid.clone()), ..Object::default() };
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::High, message)
                .about(object)
                .count("locks", row.locks)
                .count("age_xids", row.age_xids)
                .evidence_aged(
                    format!(
                        "it holds {} and keeps VACUUM from what {} made dead",
                        counted(row.locks, "lock"),
                        counted(row.age_xids, "later transaction")
                    ),
                    Some(row.age_s),
                )
                .depends_on("what its transaction manager decided: commit or roll back")
                .remedy(
                    format!(
                        "ask the transaction manager, then commit or roll it back, connected to {database}"
                    ),
                    steps,
                ),
        );
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    #[test]
    fn only_old_ones_count_and_only_those_here_can_be_ended_here() {
        let row = |gid: &str, age_s: f64, is_here: bool| {
            json!({"gid": gid, "role_name": "app", "database": "shop", "is_here": is_here, "age_s": age_s,
                "age_xids": 5, "locks": 2})
        };
        let rows = json!([row("a'b", 900.0, true), row("c", 900.0, false), row("d", 1.0, true)]);
        let found = judged(&CHECK, &facts(), rows).findings;
        let steps: Vec<_> =
            found.iter().map(|finding| finding.remedy.as_ref().unwrap().steps.len()).collect();
        assert_eq!(steps, [1, 0]);
    }
}
