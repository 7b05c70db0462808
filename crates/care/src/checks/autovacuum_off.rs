//! Tables for which somebody switched autovacuum off.
//!
//! Not for: the server's own switch (see `server_settings`).

use posthaste_report::{Finding, Severity};

use super::tables::{SQL, Table};
use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, remedy, table};

pub(crate) const CHECK: Check = Check {
    code: "autovacuum-off",
    title: "tables whose autovacuum is switched off",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let tables: Vec<Table> = rows.of()?;
    let mut outcome = Outcome::default();
    for one in &tables {
        let is_off = Table::is_switched_off(&one.options);
        let is_toast_off = Table::is_switched_off(&one.toast_options);
        if !is_off && !is_toast_off {
            continue;
        }
        let writes = one.updated + one.deleted;
        let severity =
            if one.dead >= 10_000 || writes >= 1_000_000 { Severity::High } else { Severity::Medium };
        let what = if is_off { "" } else { "the TOAST table of " };
        let message = format!("autovacuum is switched off for {what}{}", one.table_name);
        let mut said = Vec::new();
        if is_off {
            said.push(("autovacuum_enabled".to_owned(), "off".to_owned()));
        }
        if is_toast_off {
            said.push(("toast.autovacuum_enabled".to_owned(), "off".to_owned()));
        }
        outcome.findings.push(
            Finding::new(CHECK.code, severity, message)
                .about(table(&one.schema, &one.table_name))
                .count("dead", one.dead)
                .count("writes", writes)
                .evidence_aged(
                    format!(
                        "{} dead, {} updated or deleted",
                        counted(one.dead, "row"),
                        counted(writes, "row")
                    ),
                    one.vacuumed_s,
                )
                .evidence("a VACUUM by hand cleans up once, and the next rows stay again")
                .remedy(
                    "reset the setting; where autovacuum disturbs, make it gentler for this table",
                    vec![remedy::reset_options(one.oid, &one.name(), &said)],
                ),
        );
    }
    outcome.line = format!(
        "autovacuum is switched off for {} of {}",
        outcome.findings.len(),
        counted(tables.len(), "table")
    );
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use posthaste_report::Action;
    use serde_json::json;

    use super::super::tables::row;
    use super::super::tests::{facts, judged};
    use super::*;

    #[test]
    fn both_heap_and_toast_are_seen_and_reset() {
        let rows = json!([
            row("on", json!({"options": ["autovacuum_enabled=true", "fillfactor=70"]})),
            row("Off", json!({"options": ["autovacuum_enabled=false"]})),
            row("toast", json!({"toast_options": ["autovacuum_enabled=f"]})),
        ]);
        let found = judged(&CHECK, &facts(), rows).findings;
        let statements: Vec<_> = found
            .iter()
            .flat_map(|finding| &finding.remedy.as_ref().unwrap().steps)
            .map(|step| match &step.action {
                Action::Transaction { statements } => (statements[0].as_str(), step.undo[0].as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            statements,
            [
                (
                    "alter table public.\"Off\" reset (autovacuum_enabled)",
                    "alter table public.\"Off\" set (autovacuum_enabled = off)"
                ),
                (
                    "alter table public.toast reset (toast.autovacuum_enabled)",
                    "alter table public.toast set (toast.autovacuum_enabled = off)"
                ),
            ]
        );
    }
}
