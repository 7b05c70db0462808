//! The order of a plan: sessions, data, constraints, settings, indexes, space, and a look at the end.
//!
//! Not for: what the steps are.

use posthaste_report::{Action, Finding, Phase, Plan, Step};

/// Where a step of another tool's remedy belongs, by what it does.
const PHASES: &[&str] =
    &["prepare", "sessions", "clean", "constraints", "settings", "indexes", "space", "verify"];

/// The plan with the remedies of other findings, each in its place and only once; phases without steps are left out.
pub fn arranged(mut plan: Plan, others: &[Finding]) -> Plan {
    let remedies =
        others.iter().filter_map(|finding| finding.remedy.as_ref().map(|remedy| (finding, remedy)));
    let mut known: Vec<String> = plan.steps().map(|step| step.id.clone()).collect();
    for (finding, remedy) in remedies {
        if remedy.steps.is_empty() {
            plan.notes.push(format!("Not a step: {} {}", finding.message, remedy.text));
        }
        for step in &remedy.steps {
            if !known.contains(&step.id) {
                known.push(step.id.clone());
                phase_of(&mut plan.phases, place(step)).steps.push(step.clone());
            }
        }
    }
    plan.phases.sort_by_key(|phase| PHASES.iter().position(|name| *name == phase.name));
    plan.phases.retain(|phase| !phase.steps.is_empty());
    plan
}

fn phase_of<'p>(phases: &'p mut Vec<Phase>, name: &str) -> &'p mut Phase {
    let place = phases.iter().position(|phase| phase.name == name).unwrap_or_else(|| {
        phases.push(super::phase(name, "", Vec::new()));
        phases.len() - 1
    });
    &mut phases[place]
}

fn place(step: &Step) -> &'static str {
    let statement = match &step.action {
        Action::Transaction { statements } => statements.first().map(String::as_str).unwrap_or_default(),
        Action::Alone { statement, .. } => statement,
        Action::Batches(_) => return "clean",
        Action::Check { sql } => sql,
        Action::Manual { about } => about,
    };
    let text = statement.trim_start().to_lowercase();
    let has = |part: &str| text.contains(part);
    if step.id.starts_with("cancel-") || step.id.starts_with("terminate-") || has("pg_cancel_backend") {
        "sessions"
    } else if text.starts_with("vacuum") || text.starts_with("analyze") || text.starts_with("cluster") {
        "space"
    } else if has(" index ") {
        "indexes"
    } else if has(" constraint ") || has("enable trigger") {
        "constraints"
    } else {
        "settings"
    }
}

#[cfg(test)]
mod tests {
    use posthaste_report::{Remedy, Severity};

    use super::*;

    #[test]
    fn remedies_of_others_come_in_their_place_and_once() {
        let step = |statement: &str| {
            let statements = vec![statement.to_owned()];
            Step::new(statement, statement, Action::Transaction { statements })
        };
        let finding = |statements: &[&str]| {
            let mut finding = Finding::new("x", Severity::Low, "x");
            let steps = statements.iter().map(|statement| step(statement)).collect();
            finding.remedy = Some(Remedy { text: String::new(), steps });
            finding
        };
        let others = [
            finding(&["vacuum a", "create index i on a (b)", "alter table a set (fillfactor = 90)"]),
            finding(&["create index i on a (b)", "select pg_cancel_backend(1)"]),
        ];
        let empty = Plan {
            version: 1,
            title: String::new(),
            kind: String::new(),
            database: String::new(),
            fingerprint: None,
            notes: Vec::new(),
            gates: Vec::new(),
            phases: Vec::new(),
        };
        let plan = arranged(empty, &others);
        let phases: Vec<(&str, usize)> =
            plan.phases.iter().map(|phase| (phase.name.as_str(), phase.steps.len())).collect();
        assert_eq!(phases, [("sessions", 1), ("settings", 1), ("indexes", 1), ("space", 1)]);
    }
}
