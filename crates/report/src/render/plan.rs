//! A plan as a page for people: the checklist, then each phase with its steps, what they lock, and the way back.
//!
//! Not for: running it; the TOML file is what runs.

use std::fmt::Write as _;

use super::markdown::{line, longest_ticks};
use super::words;
use crate::{Action, BATCH, Effect, Gate, LockMode, Locked, Phase, Plan, Step};

/// As Markdown.
pub fn plan_markdown(plan: &Plan) -> String {
    let mut text = format!("# {}\n\n", line(&plan.title));
    if !plan.database.is_empty() {
        let _ = writeln!(text, "For the database {}.\n", line(&plan.database));
    }
    if !plan.notes.is_empty() {
        text.push_str("## Read first\n\n");
        plan.notes.iter().for_each(|note| text.push_str(&format!("- {}\n", line(note))));
        text.push('\n');
    }
    checklist(&mut text, plan);
    for (number, phase) in plan.phases.iter().enumerate() {
        write_phase(&mut text, number + 1, phase);
    }
    rollback(&mut text, plan);
    text
}

fn checklist(text: &mut String, plan: &Plan) {
    text.push_str("## Before it starts\n\n");
    for gate in &plan.gates {
        let _ = writeln!(text, "- [ ] {}", line(&gate_words(gate)));
    }
    text.push('\n');
}

/// What is looked at by Posthaste, and what a person says.
fn gate_words(gate: &Gate) -> String {
    match gate {
        Gate::Backup { max_age_s } => format!("a backup that is at most {} old", words::age(*max_age_s)),
        Gate::ReplicaLag { max_ms } => {
            format!("every replica is at most {} behind (looked at)", words::age(max_ms / 1_000))
        }
        Gate::OldestTransaction { max_ms } => {
            format!("no transaction is open for {} (looked at)", words::age(max_ms / 1_000))
        }
        Gate::Window { from, to, zone } => format!("it is between {from} and {to} in {zone} (looked at)"),
        Gate::Approval { name, about } => format!("{about} (--approve {name})"),
        Gate::Query { about, .. } => format!("{about} (looked at)"),
    }
}

fn write_phase(text: &mut String, number: usize, phase: &Phase) {
    let _ = writeln!(text, "## {number}. {}\n\n{}\n", line(&phase.name), line(&phase.about));
    if !phase.compatible_with.is_empty() {
        let _ = writeln!(text, "May run beside: {}.\n", line(&phase.compatible_with));
    }
    for gate in &phase.gates {
        let _ = writeln!(text, "- [ ] {}", line(&gate_words(gate)));
    }
    for step in &phase.steps {
        write_step(text, step);
    }
    if !phase.watch.is_empty() {
        text.push_str(
            "| Watch | Above | Then | After the phase | Who looks |\n| --- | --- | --- | --- | --- |\n",
        );
        for watch in &phase.watch {
            let threshold = format!("{} {}", watch.threshold, watch.unit);
            let who =
                if watch.signal.is_some() { "the runner, while it runs; then people" } else { "people" };
            let after = words::age(watch.watch_s);
            let cells = [watch.metric.clone(), threshold, watch.when.clone(), after, who.to_owned()];
            let _ = writeln!(text, "| {} |", cells.map(|cell| line(&cell)).join(" | "));
        }
        text.push('\n');
    }
}

fn write_step(text: &mut String, step: &Step) {
    let _ = writeln!(text, "### {}: {}\n", line(&step.id), line(&step.title));
    write_code(text, &words::statements(step).join(";\n"));
    if let Action::Batches(batches) = &step.action {
        let order = if batches.key.is_empty() { "pages".to_owned() } else { batches.key.join(", ") };
        let order = line(&order);
        let _ = writeln!(
            text,
            "- In ranges of {order}, each a transaction of its own; `{BATCH}` stands for one range"
        );
    }
    let strongest = step.locks.iter().map(|lock| lock.mode).max();
    let locks = strongest.map_or_else(
        || "nothing that anybody waits for".to_owned(),
        |mode| {
            format!(
                "{mode} on {}{}",
                names(step, mode),
                if mode.blocks_reads() { ", for a moment" } else { "" }
            )
        },
    );
    let _ = writeln!(text, "- Locks: {}", line(&locks));
    if let Some(estimate) = &step.estimate {
        let mut parts = Vec::new();
        parts.extend(estimate.rows.map(|rows| format!("{} rows", words::amount(rows))));
        parts.extend(estimate.bytes.map(|bytes| format!("{} MB", bytes.div_ceil(1 << 20))));
        parts.extend(estimate.seconds.map(|seconds| format!("about {}", words::age(seconds as u64))));
        let what = words::effect(step.effect).unwrap_or("changes rows");
        let _ = writeln!(text, "- Work: {}: {}", what, line(&parts.join(", ")));
    } else if step.effect != Effect::None {
        let _ = writeln!(text, "- Work: {}", words::effect(step.effect).unwrap_or_default());
    }
    for accepted in &step.accepted {
        let said = format!("{} ({}); {}", accepted.message, accepted.code, accepted.because);
        let _ = writeln!(text, "- Known: {}", line(&said));
    }
    let back = match (step.undo.is_empty(), step.needs_no_undo) {
        (false, _) => format!("`{}`", step.undo.join("; ").replace('`', "'")),
        (true, true) => "nothing to do".to_owned(),
        (true, false) => "none: from here on there is no way back but a backup".to_owned(),
    };
    let _ = writeln!(text, "- Way back: {}\n", words::visible_line(&back));
}

fn names(step: &Step, mode: LockMode) -> String {
    let name = |lock: &crate::Lock| match &lock.on {
        Locked::Table(name) | Locked::Index(name) => format!("{}.{name}", lock.schema),
    };
    let names: Vec<String> = step.locks.iter().filter(|lock| lock.mode == mode).map(name).collect();
    names.join(", ")
}

fn write_code(text: &mut String, code: &str) {
    let code = words::visible_lines(code);
    let fence = "`".repeat(longest_ticks(&code).max(2) + 1);
    let _ = writeln!(text, "{fence}sql\n{code}\n{fence}\n");
}

fn rollback(text: &mut String, plan: &Plan) {
    text.push_str("## Going back\n\n");
    let last = plan.steps().find(|step| step.undo.is_empty() && !step.needs_no_undo);
    let _ = match last {
        None => writeln!(text, "`posthaste runs abort` takes every step back, the last one first."),
        Some(step) => writeln!(
            text,
            "`posthaste runs abort` takes every step back, the last one first, until {} was done; after that only a \
             restore brings back what was there.",
            line(&step.id)
        ),
    };
}
