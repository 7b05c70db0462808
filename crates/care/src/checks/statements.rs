//! The rows of pg_stat_statements, what an earlier snapshot had counted taken off, and what kind each statement is.
//!
//! Not for: what makes a finding of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::doctor::{Facts, Rows, Unseen};

pub(super) const SQL: &str = include_str!("../../sql/doctor/statement.sql");

/// Longer ones were cut, and cannot be read any more.
pub(super) const TEXT_MAX: usize = 8_000;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Statement {
    pub query_id: Option<i64>,
    pub role_oid: i64,
    pub is_top_level: bool,
    #[serde(default)]
    pub is_hidden: Option<bool>,
    pub query: Option<String>,
    pub calls: i64,
    pub total_ms: f64,
    pub max_ms: Option<f64>,
    pub rows: i64,
    pub blocks_hit: i64,
    pub blocks_read: i64,
    pub temp_blocks_written: Option<i64>,
    pub since_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Select,
    Write,
    Other,
}

impl Statement {
    pub(super) fn mean_ms(&self) -> f64 {
        self.total_ms / self.calls.max(1) as f64
    }

    pub(super) fn rows_a_call(&self) -> f64 {
        self.rows as f64 / self.calls.max(1) as f64
    }

    pub(super) fn text(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }

    pub(super) fn kind(&self) -> Kind {
        let text = without_comments(self.text());
        let word: String =
            text.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_lowercase();
        match word.as_str() {
            "select" | "values" | "table" => Kind::Select,
            "with" => {
                let lower = text.to_lowercase();
                let words = lower.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
                let mut before = "";
                let writes = words.into_iter().any(|word| {
                    // `for update` locks rows and writes none.
                    let is_write = ["insert", "delete", "merge"].contains(&word)
                        || (word == "update" && before != "for");
                    before = word;
                    is_write
                });
                if writes { Kind::Write } else { Kind::Select }
            }
            "insert" | "update" | "delete" | "merge" => Kind::Write,
            _ => Kind::Other,
        }
    }

    /// Reads the server's own tables: somebody's monitoring, and not the application.
    pub(super) fn is_about_the_server(&self) -> bool {
        let lower = self.text().to_lowercase();
        ["pg_stat", "pg_catalog", "pg_class", "pg_locks", "pg_database", "pg_settings", "information_schema"]
            .iter()
            .any(|name| lower.contains(name))
    }
}

/// The statements of the application, roles taken together, the costliest first.
pub(super) fn of_application(rows: &Rows, facts: &Facts) -> Result<(Vec<Statement>, usize), Unseen> {
    let all: Vec<Statement> = rows.of()?;
    let hidden = all.iter().filter(|one| one.is_hidden == Some(true)).count();
    let mut by_id: BTreeMap<i64, Statement> = BTreeMap::new();
    for mut one in all {
        let Some(id) = one.query_id.filter(|_| one.is_top_level) else { continue };
        subtract(&mut one, facts);
        if one.calls <= 0 || one.kind() == Kind::Other || one.is_about_the_server() {
            continue;
        }
        match by_id.entry(id) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(one);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => add(entry.get_mut(), &one),
        }
    }
    let mut found: Vec<Statement> = by_id.into_values().collect();
    found.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
    Ok((found, hidden))
}

fn subtract(one: &mut Statement, facts: &Facts) {
    let (Some(before), Some(id)) = (&facts.baseline, one.query_id) else { return };
    let Some(count) = before.statement(id, one.role_oid, one.is_top_level) else { return };
    // Fewer calls than before: it was evicted in between and began anew.
    if count.calls > one.calls {
        return;
    }
    one.calls -= count.calls;
    one.total_ms = (one.total_ms - count.total_ms).max(0.0);
    one.rows -= count.rows;
    one.blocks_hit -= count.blocks_hit;
    one.blocks_read -= count.blocks_read;
    // The highest of all time says nothing about the time since.
    one.max_ms = None;
}

fn add(sum: &mut Statement, one: &Statement) {
    sum.calls += one.calls;
    sum.total_ms += one.total_ms;
    sum.rows += one.rows;
    sum.blocks_hit += one.blocks_hit;
    sum.blocks_read += one.blocks_read;
    sum.max_ms = sum.max_ms.zip(one.max_ms).map(|(a, b)| a.max(b));
}

/// The statement from its first word on.
pub(super) fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        }
        .trim_start();
    }
}

#[cfg(test)]
pub(super) fn row(id: i64, query: &str, calls: i64, mean_ms: f64, rows: i64) -> serde_json::Value {
    serde_json::json!({
        "query_id": id, "role_oid": 10, "is_top_level": true, "is_hidden": false, "query": query, "calls": calls,
        "total_ms": mean_ms * calls as f64, "mean_ms": mean_ms, "max_ms": mean_ms * 2.0, "rows": rows,
        "blocks_hit": 100, "blocks_read": 0, "temp_blocks_written": 0, "since_s": null,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::tests::facts;
    use super::*;
    use crate::doctor::Snapshot;

    #[test]
    fn statements_are_of_kinds() {
        let kind = |query: &str| {
            serde_json::from_value::<Statement>(row(1, query, 1, 1.0, 1)).map(|one| one.kind()).unwrap()
        };
        assert_eq!(kind("-- new\n/* in v2 */ SELECT 1"), Kind::Select);
        assert_eq!(kind("with a as (delete from t returning id) select * from a"), Kind::Write);
        assert_eq!(kind("WITH a AS (select 1) select * from a"), Kind::Select);
        assert_eq!(kind("vacuum t"), Kind::Other);
    }

    #[test]
    fn an_earlier_snapshot_is_taken_off_and_roles_are_added() {
        let mut facts = facts();
        let before = json!({"version": 1, "database": "shop", "at_s": 0.0, "statements": [
            {"query_id": 1, "role_oid": 10, "is_top_level": true, "calls": 8, "total_ms": 800.0, "rows": 8}]});
        facts.baseline = Some(Arc::new(Snapshot::from_json(&before.to_string()).unwrap()));
        let mut other = row(1, "select 1", 5, 10.0, 5);
        other["role_oid"] = json!(11);
        let rows =
            [row(1, "select 1", 10, 100.0, 10), other, row(2, "select count(*) from pg_class", 9, 9.0, 9)];
        let rows = Rows(rows.iter().map(serde_json::Value::to_string).collect());
        let (found, hidden) = of_application(&rows, &facts).unwrap();
        assert_eq!((found.len(), hidden), (1, 0));
        assert_eq!((found[0].calls, found[0].total_ms, found[0].rows), (7, 250.0, 7));
    }
}
