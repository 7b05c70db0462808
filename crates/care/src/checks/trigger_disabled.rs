//! Triggers that do not fire, those behind foreign keys too, and settings that stop them for a role or a database.
//!
//! A foreign key whose triggers are disabled still says that it is valid. Not for: the rows that came in meanwhile
//! (see `integrity`).

use std::collections::BTreeMap;

use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, remedy, table};

pub(crate) const CHECK: Check = Check {
    code: "trigger-disabled",
    title: "triggers that do not fire, also those of foreign keys",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/trigger.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    oid: i64,
    name: String,
    enabled: String,
    is_internal: bool,
    schema: Option<String>,
    table_name: Option<String>,
    constraint_name: Option<String>,
    constraint_schema: Option<String>,
    constraint_table: Option<String>,
    setting_of: Option<String>,
}

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut outcome = Outcome::line(format!(
        "{} disabled",
        counted(rows.iter().filter(|row| row.setting_of.is_none()).count(), "trigger")
    ));
    // A foreign key has two triggers on each side: one finding for all of them.
    let mut by_key: BTreeMap<(&str, &str, &str), Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        if let Some(of) = &row.setting_of {
            outcome.findings.push(of_setting(of));
        } else if let (true, Some(name), Some(schema), Some(on)) =
            (row.is_internal, &row.constraint_name, &row.constraint_schema, &row.constraint_table)
        {
            by_key.entry((schema.as_str(), on.as_str(), name.as_str())).or_default().push(row);
        } else {
            outcome.findings.extend(of_trigger(row));
        }
    }
    outcome.findings.extend(by_key.into_iter().map(|((schema, on, name), of_key)| {
        let steps = of_key.iter().filter_map(|row| {
            let table = Name::new(row.schema.as_deref()?, row.table_name.as_deref()?);
            Some(remedy::enable_trigger(row.oid, &table, &row.name))
        });
        let message = format!(
            "the constraint {name} of {on} is not enforced: {} of its triggers {} disabled",
            of_key.len(),
            if of_key.len() == 1 { "is" } else { "are" }
        );
        let mut finding = Finding::new(CHECK.code, Severity::High, message)
            .about(table(schema, on))
            .count("triggers", of_key.len() as i64)
            .evidence("pg_constraint still says that it is validated")
            .remedy(
                "count and mend the rows that break it (posthaste integrity), then enable the triggers; it takes a superuser",
                steps.collect(),
            );
        finding.object.name = Some(name.to_owned());
        finding
    }));
    Ok(outcome)
}

fn of_setting(of: &str) -> Finding {
    let message = format!(
        "session_replication_role is replica for {of}: its sessions fire no triggers and check no keys"
    );
    Finding::new(CHECK.code, Severity::High, message)
        .about(Object {
            kind: "setting".into(),
            name: Some("session_replication_role".into()),
            ..Object::default()
        })
        .depends_on("whether that role only applies what another server has checked")
        .remedy("reset it, and count what broke the constraints meanwhile (posthaste integrity)", Vec::new())
}

fn of_trigger(row: &Row) -> Option<Finding> {
    let (schema, on) = (row.schema.as_deref()?, row.table_name.as_deref()?);
    // Somebody asked for it to fire in replication alone, which is a choice.
    let is_choice = row.enabled == "R";
    let (severity, how) = match is_choice {
        true => (Severity::Info, "fires only while replicated changes are applied"),
        false => (Severity::Medium, "is disabled"),
    };
    let mut finding = Finding::new(CHECK.code, severity, format!("the trigger {} of {on} {how}", row.name))
        .about(Object { kind: "trigger".into(), ..table(schema, on) });
    finding.object.name = Some(row.name.clone());
    let steps = match is_choice {
        true => Vec::new(),
        false => vec![remedy::enable_trigger(row.oid, &Name::new(schema, on), &row.name)],
    };
    Some(finding.remedy("enable it, after a look at what it should have done meanwhile", steps))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{facts, judged};
    use super::*;

    fn row(oid: i64, more: Value) -> Value {
        let mut row = json!({"oid": oid, "name": "T", "enabled": "D", "is_internal": false, "schema": "s",
            "table_name": "t", "constraint_name": null, "constraint_schema": null, "constraint_table": null,
            "setting_of": null});
        let Value::Object(more) = more else { panic!("more fields") };
        row.as_object_mut().unwrap().extend(more);
        row
    }

    #[test]
    fn the_triggers_of_one_key_are_one_finding() {
        let key = json!({"is_internal": true, "constraint_name": "fk", "constraint_schema": "s",
            "constraint_table": "t"});
        let rows =
            json!([row(1, key.clone()), row(2, key), row(3, json!({})), row(4, json!({"enabled": "R"}))]);
        let found = judged(&CHECK, &facts(), rows).findings;
        let said: Vec<_> = found.iter().map(|one| one.severity).collect();
        assert_eq!(said, [Severity::Medium, Severity::Info, Severity::High]);
        assert_eq!(found[2].remedy.as_ref().unwrap().steps.len(), 2);
    }

    #[test]
    fn a_setting_of_a_role_is_found() {
        let setting = json!({"setting_of": "role loader", "schema": null, "table_name": null});
        let found = judged(&CHECK, &facts(), json!([row(0, setting)])).findings;
        assert!(found[0].message.contains("role loader"), "{}", found[0].message);
    }
}
