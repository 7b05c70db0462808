//! What the application's pools may ask for, and what the machine's size allows, against the server's limit.
//!
//! Pools and size are declared in a file, since no server knows them. Not for: connections that are there now.

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Pool, Rows, Told, Unseen, capacity_units, counted};

/// Below it a pool refuses work that the server could do; above it a process alone can fill a small server.
const POOL_MAX: i64 = 50;

pub(crate) const CHECK: Check = Check {
    code: "connection-capacity",
    title: "pools and machine size against max_connections",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/connections.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    used: i64,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    let declared = &facts.declared;
    let all = facts.number("max_connections").unwrap_or_default() as i64;
    let reserved = ["superuser_reserved_connections", "reserved_connections"]
        .iter()
        .filter_map(|name| facts.number(name))
        .sum::<f64>() as i64;
    let limit = all - reserved;
    if declared.pools.is_empty() && declared.server.capacity_units.is_none() {
        let mut outcome = Outcome::line(format!("max_connections is {all}"));
        outcome
            .skipped
            .push("the sizes of the application's pools and of the machine were not given (--pools)".into());
        return Ok(outcome);
    }
    let asked = declared.connections_max();
    let mut outcome = Outcome::line(format!(
        "the declared pools may ask for {} of {limit} connections",
        counted(asked, "connection")
    ));
    let object = Object { kind: "setting".into(), name: Some("max_connections".into()), ..Object::default() };
    if asked > limit {
        let largest = declared.pools.iter().max_by_key(|pool| pool.max.saturating_mul(pool.processes));
        let severity = if asked > 2 * limit { Severity::High } else { Severity::Medium };
        let message =
            format!("the pools may ask for {asked} connections, and the server has {limit} for them");
        let mut finding = Finding::new(CHECK.code, severity, message)
            .about(object.clone())
            .count("asked", asked)
            .count("limit", limit)
            .evidence_aged(format!("{} used now", counted(row.used, "connection")), Some(0.0));
        for pool in &declared.pools {
            finding = finding.evidence(words(pool));
        }
        let text = largest.map_or_else(String::new, |pool| format!("the largest is {}; ", pool.name));
        outcome.findings.push(finding.remedy(
            format!("{text}put a pooler in transaction mode before the server, or make the pools smaller"),
            Vec::new(),
        ));
    }
    if let Some(units) = declared.server.capacity_units {
        let fits = capacity_units(units);
        if all > fits {
            let message = format!("max_connections is {all}, and {units} capacity units take {fits}");
            outcome.findings.push(
                Finding::new(CHECK.code, Severity::Medium, message)
                    .about(object)
                    .count("limit", all)
                    .count("fits", fits)
                    .evidence("180 connections for each capacity unit")
                    .remedy(
                        "lower max_connections, or take a larger size before the connections are needed",
                        Vec::new(),
                    ),
            );
        }
    }
    for pool in declared.pools.iter().filter(|pool| pool.max > POOL_MAX && pool.behind_pooler_of.is_none()) {
        let message = format!("one process of {} may take {} connections", pool.name, pool.max);
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, message)
                .about(Object { kind: "pool".into(), name: Some(pool.name.clone()), ..Object::default() })
                .remedy("a pool of twice the server's processors is rarely too small", Vec::new()),
        );
    }
    Ok(outcome)
}

fn words(pool: &Pool) -> String {
    let behind =
        pool.behind_pooler_of.map(|shared| format!(", behind a pooler of {shared}")).unwrap_or_default();
    format!(
        "{}: {} to {} in each of {}{behind}",
        pool.name,
        pool.min,
        pool.max,
        counted(pool.processes, "process")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;
    use crate::doctor::Declared;

    fn check(toml: &str, expected: &[Severity]) {
        let mut facts = facts();
        let setting = json!({"value": "1000", "unit": null, "source": "default"});
        facts.settings.insert("max_connections".into(), serde_json::from_value(setting).unwrap());
        facts.declared = Declared::from_toml(toml).unwrap();
        let found = judged(&CHECK, &facts, json!([{"used": 5}])).findings;
        assert_eq!(found.iter().map(|one| one.severity).collect::<Vec<_>>(), expected, "{toml}");
    }

    #[test]
    fn five_hundred_workers_ask_for_five_thousand() {
        check("", &[]);
        check("[[pool]]\nname = \"worker\"\nmax = 10\nprocesses = 500", &[Severity::High]);
        check("[[pool]]\nname = \"worker\"\nmax = 10\nprocesses = 500\nbehind_pooler_of = 25", &[]);
        check("[[pool]]\nname = \"deal\"\nmin = 5\nmax = 20\nprocesses = 4", &[]);
        check("[server]\ncapacity_units = 4", &[Severity::Medium]);
    }
}
