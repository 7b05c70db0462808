//! Connections that are used, against what the server, this database and each role allow.
//!
//! Not for: what the application's pools may ask for (see `connection_capacity`).

use posthaste_report::{Confidence, Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, percent};

pub(crate) const CHECK: Check = Check {
    code: "connections-near-limit",
    title: "connections against the limits of server, database and roles",
    needs: Needs {
        hidden: Some(
            "which sessions are clients and what they do is hidden: background workers may be counted",
        ),
        ..Needs::NOTHING
    },
    judge: Judge::Rows(include_str!("../../sql/doctor/connections.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    used: i64,
    hidden: i64,
    idle: i64,
    by_state: Vec<Group>,
    by_application: Vec<Group>,
    roles: Vec<Limit>,
    databases: Vec<Limit>,
}

#[derive(Deserialize)]
struct Group {
    application: Option<String>,
    state: String,
    count: i64,
}

#[derive(Deserialize)]
struct Limit {
    name: String,
    limit: i64,
    used: i64,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    let all = facts.number("max_connections").unwrap_or_default() as i64;
    let reserved = ["superuser_reserved_connections", "reserved_connections"]
        .iter()
        .filter_map(|name| facts.number(name))
        .sum::<f64>() as i64;
    let limit = all - reserved;
    let mut outcome = Outcome::line(format!(
        "{} of {limit} connections are used, {} of them idle; {reserved} more are reserved",
        row.used, row.idle
    ));
    let states: Vec<String> =
        row.by_state.iter().map(|group| format!("{} {}", group.count, group.state)).collect();
    let said = |group: &Group| {
        let name = group.application.as_deref().filter(|name| !name.is_empty()).unwrap_or("(no name)");
        format!("{} {} of {name}", group.count, group.state)
    };
    let applications: Vec<String> = row.by_application.iter().take(8).map(said).collect();
    let confidence = if row.hidden > 0 { Confidence::Likely } else { Confidence::Certain };
    let mut check = |used: i64, limit: i64, of: &str, object: Object| {
        if limit <= 0 || (used as f64) < facts.thresholds.connections_share * limit as f64 {
            return;
        }
        let severity = if used as f64 >= 0.95 * limit as f64 { Severity::Critical } else { Severity::High };
        let share = percent(used as f64, limit as f64);
        let message = format!("{used} of {limit} connections {of} are used ({share})");
        // A limit of a role or a database says nothing about who else is there.
        let where_ = if object.kind == "server" { "" } else { "on the whole server, " };
        outcome.findings.push(
            Finding::new(CHECK.code, severity, message)
                .about(object)
                .count("used", used)
                .count("limit", limit)
                .count("idle", row.idle)
                .evidence_aged(format!("{where_}by state: {}", states.join(", ")), Some(0.0))
                .evidence_aged(format!("{where_}by application: {}", applications.join(", ")), Some(0.0))
                .sure(confidence)
                .remedy(
                    "end what waits in a transaction or is not needed, make the pools smaller or share a pooler; \
                     more connections cost memory and help only when the processors are idle",
                    Vec::new(),
                ),
        );
    };
    let server = Object { kind: "server".into(), ..Object::default() };
    check(row.used, limit, "that ordinary roles may use", server);
    for role in &row.roles {
        let object = Object { kind: "role".into(), name: Some(role.name.clone()), ..Object::default() };
        check(role.used, role.limit, &format!("of the role {}", role.name), object);
    }
    for database in &row.databases {
        let object =
            Object { kind: "database".into(), name: Some(database.name.clone()), ..Object::default() };
        check(database.used, database.limit, &format!("to the database {}", database.name), object);
    }
    if row.hidden > 0 {
        outcome.line.push_str(&format!("; the state of {} is hidden", counted(row.hidden, "session")));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(used: i64, role_used: i64, expected: &[Severity]) {
        let mut facts = facts();
        for (name, value) in [("max_connections", "60"), ("superuser_reserved_connections", "3")] {
            let setting = json!({"value": value, "unit": null, "source": "default"});
            facts.settings.insert(name.into(), serde_json::from_value(setting).unwrap());
        }
        let row = json!({"used": used, "hidden": 0, "idle": 1, "by_state": [], "by_application": [],
            "roles": [{"name": "app", "limit": 10, "used": role_used}], "databases": []});
        let outcome = judged(&CHECK, &facts, json!([row]));
        let found: Vec<_> = outcome.findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(found, expected, "{used} and {role_used}");
        assert!(outcome.line.contains(&format!("{used} of 57")), "{}", outcome.line);
    }

    #[test]
    fn the_reserved_ones_are_not_for_everybody() {
        check(45, 0, &[]);
        check(50, 0, &[Severity::High]);
        check(56, 0, &[Severity::Critical]);
    }

    #[test]
    fn a_role_has_a_limit_of_its_own() {
        check(10, 9, &[Severity::High]);
        check(10, 10, &[Severity::Critical]);
    }
}
