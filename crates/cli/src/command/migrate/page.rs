//! What `--dry-run` shows of migrations: the statements in their order, and which of them are one transaction.
//!
//! Not for: what they lock and cost, which only a review says (`posthaste review`).

use std::fmt::Write as _;

use posthaste_report::{Action, Phase, Plan, Step};

/// As a script with comments.
pub(super) fn script(plan: &Plan) -> String {
    let mut text = format!("-- {}\n", line(&plan.title));
    for note in &plan.notes {
        let _ = writeln!(text, "-- note: {}", line(note));
    }
    for phase in &plan.phases {
        write_phase(&mut text, phase);
    }
    text.push_str("\n-- What they lock, and for how long, says `posthaste review`.\n");
    text
}

fn write_phase(text: &mut String, phase: &Phase) {
    let file = if phase.about.is_empty() { String::new() } else { format!(" ({})", phase.about) };
    let _ = writeln!(text, "\n-- {}", line(&format!("{}{file}", phase.name)));
    for step in &phase.steps {
        let (how, statements) = match &step.action {
            Action::Transaction { statements } => ("one transaction", statements.as_slice()),
            Action::Alone { statement, .. } => ("outside of a transaction", std::slice::from_ref(statement)),
            _ => ("", &[][..]),
        };
        write_step(text, step, how, statements);
    }
}

fn write_step(text: &mut String, step: &Step, how: &str, statements: &[String]) {
    let _ = writeln!(text, "-- step {}: {how}", line(&step.id));
    for statement in statements {
        let statement = statement.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "?");
        let _ = writeln!(text, "{};", statement.trim_end().trim_end_matches(';'));
    }
}

/// A file's name may hold what a terminal takes for an order.
fn line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "?")
}
