//! The tree of who waits for whom, from the root that holds everybody up.
//!
//! A waiting ALTER holds nothing, and yet all who come after it wait behind it: it is shown as the branch that it is.
//! Not for: locks that nobody waits for.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_report::{Finding, Object, Severity, Step};
use serde::Deserialize;

use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, remedy, shortened,
};

/// Lines of a tree that are shown.
const LINES_MAX: usize = 30;

pub(crate) const CHECK: Check = Check {
    code: "lock-chain",
    title: "sessions that wait for locks, as a tree with its root",
    needs: Needs {
        hidden: Some("what the sessions of other roles run is hidden, not who waits for whom"),
        ..Needs::NOTHING
    },
    judge: Judge::Rows(include_str!("../../sql/doctor/lock_chain.sql"), judge),
};

#[derive(Clone, Deserialize)]
struct Row {
    pid: i64,
    blockers: Vec<i64>,
    mode: Option<String>,
    lock_type: Option<String>,
    schema: Option<String>,
    table_name: Option<String>,
    waited_s: Option<f64>,
    backend_start: Option<String>,
    transaction_start: Option<String>,
    statement_start: Option<String>,
    role_name: Option<String>,
    application: Option<String>,
    state: Option<String>,
    transaction_s: Option<f64>,
    query: Option<String>,
}

fn judge(rows: &Rows, _: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let waiting: Vec<&Row> = rows.iter().filter(|row| !row.blockers.is_empty()).collect();
    let longest = waiting.iter().filter_map(|row| row.waited_s).fold(0.0, f64::max);
    let mut outcome = Outcome::line(match waiting.len() {
        0 => "no session waits for a lock".to_owned(),
        count => format!("{} for a lock, the longest for {}", waiting_words(count), duration(longest)),
    });
    let tree = Tree::new(&rows);
    let mut seen = BTreeSet::new();
    for root in tree.roots() {
        let below = tree.below(root);
        seen.extend(below.iter().copied());
        outcome.findings.push(root_finding(&tree, root, &below));
    }
    // Each waits for another of them: the server finds a deadlock after its timeout, unless it is only seen in passing.
    let ring: Vec<i64> = waiting.iter().map(|row| row.pid).filter(|pid| !seen.contains(pid)).collect();
    if !ring.is_empty() {
        let pids: Vec<String> = ring.iter().map(ToString::to_string).collect();
        let message = format!("the processes {} wait for each other", pids.join(", "));
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::High, message)
                .about(Object { kind: "session".into(), ..Object::default() })
                .count("waiting", ring.len() as i64)
                .remedy(
                    "the server ends a deadlock by itself after deadlock_timeout; look again",
                    Vec::new(),
                ),
        );
    }
    Ok(outcome)
}

fn waiting_words(count: usize) -> String {
    let sessions = counted(count, "session");
    if count == 1 { format!("{sessions} waits") } else { format!("{sessions} wait") }
}

struct Tree<'a> {
    rows: BTreeMap<i64, &'a Row>,
    /// Those who wait for a process directly.
    waiters: BTreeMap<i64, Vec<i64>>,
}

impl<'a> Tree<'a> {
    fn new(rows: &'a [Row]) -> Self {
        let mut waiters: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for row in rows {
            for blocker in &row.blockers {
                waiters.entry(*blocker).or_default().push(row.pid);
            }
        }
        Self { rows: rows.iter().map(|row| (row.pid, row)).collect(), waiters }
    }

    /// Those who are waited for and wait for nobody; 0 stands for prepared transactions.
    fn roots(&self) -> Vec<i64> {
        let waits = |pid: &i64| self.rows.get(pid).is_some_and(|row| !row.blockers.is_empty());
        self.waiters.keys().copied().filter(|pid| !waits(pid)).collect()
    }

    fn below(&self, root: i64) -> BTreeSet<i64> {
        let (mut found, mut open) = (BTreeSet::new(), vec![root]);
        while let Some(pid) = open.pop() {
            for waiter in self.waiters.get(&pid).into_iter().flatten() {
                if *waiter != root && found.insert(*waiter) {
                    open.push(*waiter);
                }
            }
        }
        found
    }

    fn is_root(&self, pid: i64) -> bool {
        self.rows.get(&pid).is_none_or(|row| row.blockers.is_empty())
    }

    /// Whom it stands behind in the picture: of those it waits for, one who waits himself, because that one goes first.
    fn parent(&self, pid: i64) -> Option<i64> {
        let blockers = &self.rows.get(&pid)?.blockers;
        blockers
            .iter()
            .copied()
            .find(|blocker| !self.is_root(*blocker) && !self.leads(pid, *blocker))
            .or_else(|| blockers.first().copied())
    }

    /// Whether the second waits, over any number of others, for the first.
    fn leads(&self, pid: i64, other: i64) -> bool {
        self.below(pid).contains(&other)
    }

    fn draw(
        &self,
        pid: i64,
        depth: usize,
        within: &BTreeSet<i64>,
        lines: &mut Vec<String>,
        drawn: &mut BTreeSet<i64>,
    ) {
        if !drawn.insert(pid) {
            return;
        }
        lines.push(format!("{}{}", "  ".repeat(depth), self.words(pid)));
        for waiter in within {
            if self.parent(*waiter) == Some(pid) {
                self.draw(*waiter, depth + 1, within, lines, drawn);
            }
        }
    }

    fn words(&self, pid: i64) -> String {
        if pid == 0 {
            return "a prepared transaction".to_owned();
        }
        let Some(row) = self.rows.get(&pid) else { return format!("process {pid}") };
        let mut words = format!("process {pid}");
        if let Some(role) = &row.role_name {
            words.push_str(&format!(" of {role}"));
        }
        if let Some(application) = row.application.as_deref().filter(|name| !name.is_empty()) {
            words.push_str(&format!(" ({application})"));
        }
        match (&row.mode, row.blockers.is_empty()) {
            (Some(mode), false) => {
                let on = row.table_name.as_deref().or(row.lock_type.as_deref()).unwrap_or("a lock");
                let waited = row.waited_s.map(duration).unwrap_or_default();
                words.push_str(&format!(", waits {waited} for {mode} on {on}"));
            }
            _ => {
                let open = row.transaction_s.map(duration).unwrap_or_default();
                let state = row.state.as_deref().unwrap_or("hidden");
                words.push_str(&format!(", {state}, transaction open for {open}"));
            }
        }
        if let Some(query) = row.query.as_deref().filter(|query| !query.is_empty()) {
            words.push_str(&format!(": {}", shortened(query, 90)));
        }
        words
    }
}

fn root_finding(tree: &Tree<'_>, root: i64, below: &BTreeSet<i64>) -> Finding {
    let waited = below.iter().filter_map(|pid| tree.rows.get(pid)?.waited_s).fold(0.0, f64::max);
    let severity = if below.len() >= 5 || waited >= 60.0 { Severity::Critical } else { Severity::High };
    let row = tree.rows.get(&root);
    let who = if root == 0 { "a prepared transaction".to_owned() } else { format!("process {root}") };
    let state = row.and_then(|row| row.state.as_deref()).unwrap_or("hidden");
    let message = format!(
        "{who} ({state}) holds up {}, the longest for {}",
        counted(below.len(), "session"),
        duration(waited)
    );
    let relation = below.iter().find_map(|pid| tree.rows.get(pid).filter(|row| row.table_name.is_some()));
    let object = Object {
        kind: "session".into(),
        schema: relation.and_then(|row| row.schema.clone()),
        table: relation.and_then(|row| row.table_name.clone()),
        name: Some(root.to_string()),
        ..Object::default()
    };
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(object)
        .count("root_pid", root)
        .count("waiting", below.len() as i64);
    let mut lines = Vec::new();
    tree.draw(root, 0, below, &mut lines, &mut BTreeSet::new());
    let hidden = lines.len().saturating_sub(LINES_MAX);
    for line in lines.into_iter().take(LINES_MAX) {
        finding = finding.evidence_aged(line, Some(0.0));
    }
    if hidden > 0 {
        finding = finding.evidence(format!("and {} more", counted(hidden, "session")));
    }
    let (text, steps) = way_out(tree, row.copied(), below);
    finding.remedy(text, steps)
}

/// First the one that waits exclusively, since it holds nothing and can come back; then the root.
fn way_out(tree: &Tree<'_>, root: Option<&Row>, below: &BTreeSet<i64>) -> (String, Vec<Step>) {
    let mut steps = Vec::new();
    let mut text = String::new();
    let queued = below.iter().find(|pid| {
        let mode = tree.rows.get(pid).and_then(|row| row.mode.as_deref());
        mode == Some("AccessExclusiveLock") && tree.waiters.contains_key(pid)
    });
    if let Some(row) = queued.and_then(|pid| tree.rows.get(pid)) {
        let behind = tree.below(row.pid).len();
        text.push_str(&format!(
            "process {} waits for ACCESS EXCLUSIVE and holds nothing yet, but {} behind it: cancel it first, and run \
             it again with a short lock_timeout; ",
            row.pid,
            waiting_words(behind)
        ));
        steps.extend(
            row.backend_start
                .as_deref()
                .map(|start| remedy::cancel(row.pid, start, row.statement_start.as_deref())),
        );
    }
    match root {
        Some(row) if row.state.as_deref().is_some_and(|state| state.starts_with("idle")) => {
            text.push_str("then end the root's session, which does nothing inside its transaction");
            steps.extend(
                row.backend_start
                    .as_deref()
                    .map(|start| remedy::terminate(row.pid, start, row.transaction_start.as_deref())),
            );
        }
        Some(row) if row.state.is_some() => {
            text.push_str("cancel what the root runs when it is not worth the wait");
            steps.extend(
                row.backend_start
                    .as_deref()
                    .map(|start| remedy::cancel(row.pid, start, row.statement_start.as_deref())),
            );
        }
        _ => text.push_str("look at the root with a role that may see it"),
    }
    (text, steps)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{facts, judged};
    use super::*;

    fn row(pid: i64, blockers: &[i64], mode: Option<&str>, state: &str) -> Value {
        json!({"pid": pid, "blockers": blockers, "mode": mode, "lock_type": "relation", "schema": "public",
            "table_name": "orders", "waited_s": mode.map(|_| 3.0), "backend_start": "2026-01-01 00:00:00+00",
            "role_name": "app", "application": "", "state": state, "transaction_s": 9.0, "query": "q"})
    }

    #[test]
    fn a_queued_alter_is_a_branch_and_not_the_root() {
        let rows = json!([
            row(1, &[], None, "idle in transaction"),
            row(2, &[1], Some("AccessExclusiveLock"), "active"),
            // Each of the readers also waits for no more than the ALTER in the queue.
            row(3, &[2], Some("AccessShareLock"), "active"),
            row(4, &[2], Some("AccessShareLock"), "active"),
        ]);
        let outcome = judged(&CHECK, &facts(), rows);
        assert_eq!(outcome.findings.len(), 1);
        let finding = &outcome.findings[0];
        assert_eq!((finding.counts["root_pid"], finding.counts["waiting"]), (1, 3));
        let tree: Vec<&str> =
            finding.evidence.iter().map(|one| one.text.split(',').next().unwrap()).collect();
        assert_eq!(
            tree,
            ["process 1 of app", "  process 2 of app", "    process 3 of app", "    process 4 of app"]
        );
        let steps: Vec<_> =
            finding.remedy.as_ref().unwrap().steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(steps, ["cancel-2", "terminate-1"]);
        assert_eq!(outcome.line, "3 sessions wait for a lock, the longest for 3.0 s");
    }

    #[test]
    fn two_roots_are_two_findings_and_a_ring_is_one() {
        let rows = json!([
            row(1, &[], None, "active"),
            row(2, &[1, 3], Some("ExclusiveLock"), "active"),
            row(3, &[], None, "idle in transaction"),
            row(8, &[9], Some("ShareLock"), "active"),
            row(9, &[8], Some("ShareLock"), "active"),
        ]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!(found.len(), 3);
        assert!(found[2].message.contains("8, 9"), "{}", found[2].message);
    }

    #[test]
    fn a_prepared_transaction_can_be_the_root() {
        let rows = json!([row(0, &[], None, "hidden"), row(2, &[0], Some("ShareLock"), "active")]);
        let found = judged(&CHECK, &facts(), rows).findings;
        assert!(found[0].message.starts_with("a prepared transaction"), "{}", found[0].message);
    }
}
