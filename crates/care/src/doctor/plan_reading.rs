//! What a plan of EXPLAIN (FORMAT JSON) says: scans of large tables, loops with many rows, sorts that cost, reads.
//!
//! Not for: asking for plans, and for what would be better (see the check `missing-index`).

use posthaste_base::{Code, Error};
use posthaste_report::{Finding, Object, Severity};
use serde_json::Value;

use super::{Told, counted, percent};

/// Rows of a table from which on reading all of it is worth a word.
const LARGE_ROWS: f64 = 10_000.0;
/// Rounds of a nested loop.
const MANY_ROUNDS: f64 = 1_000.0;
/// Blocks that a plan must read before their share in memory means anything.
const BLOCKS_MIN: f64 = 1_000.0;

/// One node of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a>(pub &'a Value);

impl<'a> Node<'a> {
    /// The top of a document of EXPLAIN, whether it is in an array or not.
    pub(crate) fn top(document: &'a Value) -> Option<Node<'a>> {
        let first = document.as_array().map_or(document, |plans| plans.first().unwrap_or(document));
        first.get("Plan").map(Node)
    }

    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str()
    }

    pub(crate) fn number(self, key: &str) -> Option<f64> {
        self.0.get(key)?.as_f64()
    }

    pub(crate) fn kind(self) -> &'a str {
        self.text("Node Type").unwrap_or_default()
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Node<'a>> {
        self.0.get("Plans").and_then(Value::as_array).into_iter().flatten().map(Node)
    }

    pub(crate) fn texts(self, key: &str) -> Vec<&'a str> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// This node and all below it, from the top down.
    pub(crate) fn all(self) -> Vec<Node<'a>> {
        let mut found = vec![self];
        found.extend(self.children().flat_map(Node::all));
        found
    }

    /// Rows that it gave in all its rounds, or was thought to give.
    fn rows(self) -> f64 {
        match (self.number("Actual Rows"), self.number("Actual Loops")) {
            (Some(rows), Some(loops)) => rows * loops,
            _ => self.number("Plan Rows").unwrap_or_default(),
        }
    }
}

/// Findings of a file that holds a plan.
pub fn read_plan(file: &str, text: &str) -> Result<Vec<Finding>, Error> {
    let document: Value = serde_json::from_str(text).map_err(|error| {
        Error::new(Code::InvalidFile, error.to_string()).expected("EXPLAIN (FORMAT JSON)")
    })?;
    if Node::top(&document).is_none() {
        return Err(Error::new(Code::InvalidFile, "there is no plan in it").expected("EXPLAIN (FORMAT JSON)"));
    }
    Ok(read(&document, &format!("the plan {file}")))
}

/// Findings of one plan; `of` names where it is from.
pub(crate) fn read(document: &Value, of: &str) -> Vec<Finding> {
    let Some(top) = Node::top(document) else { return Vec::new() };
    let mut findings: Vec<Finding> = top.all().into_iter().flat_map(|node| read_node(node, of)).collect();
    findings.extend(hits(top, of));
    findings
}

fn object(node: Node<'_>) -> Object {
    Object {
        kind: "plan".into(),
        schema: node.text("Schema").map(str::to_owned),
        table: node.text("Relation Name").map(str::to_owned),
        ..Object::default()
    }
}

fn read_node(node: Node<'_>, of: &str) -> Option<Finding> {
    let kind = node.kind();
    let say = |code: &str, severity, message: String| {
        Finding::new(code, severity, message).about(object(node)).evidence(format!("in {of}"))
    };
    match kind {
        "Seq Scan" => {
            let loops = node.number("Actual Loops").unwrap_or(1.0);
            let removed = node.number("Rows Removed by Filter").unwrap_or_default() * loops;
            let read = removed + node.rows();
            let filter = node.text("Filter")?;
            if read < LARGE_ROWS || removed * 2.0 < read && node.number("Actual Rows").is_some() {
                return None;
            }
            let table = node.text("Relation Name").unwrap_or("a table");
            let message = format!(
                "all of {table} is read, {}, for {}",
                counted(read as i64, "row"),
                counted(node.rows() as i64, "row")
            );
            let finding = say("plan-sequential-scan", Severity::Medium, message).evidence(filter.to_owned());
            Some(
                finding
                    .remedy("an index for the columns of the filter, where it leaves few rows", Vec::new()),
            )
        }
        "Nested Loop" => {
            let mut children = node.children();
            let rounds = children.next()?.rows();
            let inner = children.next()?;
            // An index lookup in each round is what the join is for; a scan in each is not.
            let is_scan = inner.all().iter().any(|below| below.kind() == "Seq Scan");
            if rounds < MANY_ROUNDS || (!is_scan && rounds < 100.0 * MANY_ROUNDS) {
                return None;
            }
            let message = format!("a nested loop goes round {}", counted(rounds as i64, "time"));
            let severity = if is_scan { Severity::High } else { Severity::Low };
            Some(say("plan-nested-loop", severity, message).remedy(
                "see whether the number of rows was guessed right (ANALYZE), and whether a join condition is missing",
                Vec::new(),
            ))
        }
        "Sort" => {
            let is_on_disk = node.text("Sort Space Type") == Some("Disk");
            let used_kb = node.number("Sort Space Used").unwrap_or_default();
            if !is_on_disk && node.rows() < 10.0 * LARGE_ROWS {
                return None;
            }
            let how = if is_on_disk { format!(", in {used_kb:.0} kB on the disk") } else { String::new() };
            let keys = node.texts("Sort Key").join(", ");
            let message = format!("{} are sorted by {keys}{how}", counted(node.rows() as i64, "row"));
            let severity = if is_on_disk { Severity::Medium } else { Severity::Low };
            Some(
                say("plan-sort", severity, message)
                    .remedy("an index in that order, or more work_mem for this statement", Vec::new()),
            )
        }
        _ => None,
    }
}

/// How much of what the whole plan read was in memory.
fn hits(top: Node<'_>, of: &str) -> Option<Finding> {
    let (hit, read) = (top.number("Shared Hit Blocks")?, top.number("Shared Read Blocks")?);
    if hit + read < BLOCKS_MIN || hit >= 0.9 * (hit + read) {
        return None;
    }
    let message = format!(
        "only {} of the {} it reads are in memory",
        percent(hit, hit + read),
        counted((hit + read) as i64, "block")
    );
    let object = Object { kind: "plan".into(), ..Object::default() };
    Some(
        Finding::new("plan-buffer-hits", Severity::Low, message)
            .about(object)
            .evidence(format!("in {of}"))
            .remedy("run it again: the first time reads from the disk", Vec::new()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(plan: Value, expected: &[&str]) {
        let document = json!([{"Plan": plan}]);
        let found = read(&document, "a test");
        assert_eq!(found.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), expected, "{document}");
    }

    #[test]
    fn what_costs_is_named() {
        check(
            json!({"Node Type": "Seq Scan", "Relation Name": "t", "Plan Rows": 10, "Actual Rows": 10,
                "Actual Loops": 1, "Rows Removed by Filter": 99_990, "Filter": "(a = 1)"}),
            &["plan-sequential-scan"],
        );
        check(
            json!({"Node Type": "Seq Scan", "Relation Name": "t", "Plan Rows": 10, "Actual Rows": 90_000,
                "Actual Loops": 1, "Rows Removed by Filter": 10, "Filter": "(a > 1)"}),
            &[],
        );
        let scan = json!({"Node Type": "Seq Scan", "Relation Name": "u", "Plan Rows": 50});
        let outer = json!({"Node Type": "Index Scan", "Relation Name": "t", "Plan Rows": 5_000});
        check(
            json!({"Node Type": "Nested Loop", "Plan Rows": 5, "Plans": [outer, scan]}),
            &["plan-nested-loop"],
        );
        check(
            json!({"Node Type": "Sort", "Sort Key": ["a"], "Plan Rows": 5, "Sort Space Type": "Disk",
                "Sort Space Used": 90_000}),
            &["plan-sort"],
        );
        check(
            json!({"Node Type": "Result", "Shared Hit Blocks": 100, "Shared Read Blocks": 9_000}),
            &["plan-buffer-hits"],
        );
    }
}
