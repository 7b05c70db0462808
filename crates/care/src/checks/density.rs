//! What the checks of bloat share: the large tables and b-trees, and whether their pages may be read.
//!
//! Not for: what makes a finding of them.

use serde::Deserialize;

use crate::doctor::{Facts, Unseen, Visitor, counted, remedy};

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Candidate {
    pub oid: i64,
    pub schema: String,
    pub name: String,
    /// `r`, `m` or `i`.
    pub kind: String,
    pub table_schema: Option<String>,
    pub table_name: Option<String>,
    pub pages: i64,
    pub tuples: f64,
    pub options: Vec<String>,
    pub modified: i64,
    pub live: i64,
    pub counted_s: Option<f64>,
    pub is_locked: bool,
    pub columns: i64,
    pub known: i64,
    pub width_bytes: f64,
    pub may_have_nulls: Option<bool>,
    pub unknown_nulls: i64,
}

impl Candidate {
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Why an estimate would be a guess.
    pub(super) fn why_withheld(&self) -> Result<(), String> {
        if self.tuples <= 0.0 {
            return Err("its rows were never counted".to_owned());
        }
        if self.known < self.columns || self.unknown_nulls > 0 {
            return Err("the width of its rows is not known: its statistics are missing or hidden".to_owned());
        }
        // A tenth of the rows can shift the number by as many points.
        if self.modified as f64 > 0.1 * self.tuples.max(self.live as f64) {
            return Err("its statistics are stale".to_owned());
        }
        Ok(())
    }
}

pub(super) async fn candidates(visitor: &Visitor) -> Result<Vec<Candidate>, Unseen> {
    visitor.rows(include_str!("../../sql/doctor/bloat_candidate.sql")).await?.of()
}

/// The schema of pgstattuple, when this role may call that function of it.
pub(super) async fn may_measure(
    visitor: &Visitor,
    facts: &Facts,
    function: &str,
) -> Result<Option<String>, Unseen> {
    may_call(visitor, facts, "pgstattuple", function).await
}

/// The schema of an extension, when this role may call that function of it.
pub(super) async fn may_call(
    visitor: &Visitor,
    facts: &Facts,
    extension: &str,
    function: &str,
) -> Result<Option<String>, Unseen> {
    #[derive(Deserialize)]
    struct Allowed {
        is_allowed: bool,
    }
    let Some(found) = facts.extension(extension) else { return Ok(None) };
    let signature = format!("{}.{function}", posthaste_base::quote::identifier(&found.schema));
    let literal = posthaste_base::quote::literal(&signature);
    let sql = remedy::fill(include_str!("../../sql/doctor/may_call.sql"), &[("function", &literal)]);
    // A version of the extension without it may not be called either.
    let allowed = visitor.rows(&sql).await.and_then(|rows| rows.one::<Allowed>());
    Ok(allowed.is_ok_and(|one| one.is_allowed).then(|| found.schema.clone()))
}

pub(super) fn in_schema(sql: &str, schema: &str) -> String {
    remedy::fill(sql, &[("schema", &posthaste_base::quote::identifier(schema))])
}

/// The first few of what was withheld, and how many more.
pub(super) fn said(what: &str, withheld: Vec<String>) -> Vec<String> {
    let more = withheld.len().saturating_sub(5);
    let mut said: Vec<String> = withheld.into_iter().take(5).map(|one| format!("{what} {one}")).collect();
    if more > 0 {
        said.push(format!("{what} {}", counted(more, "more object")));
    }
    said
}

#[cfg(test)]
pub(super) fn row(name: &str, kind: &str, more: serde_json::Value) -> serde_json::Value {
    let mut row = serde_json::json!({
        "oid": 1, "schema": "s", "name": name, "kind": kind, "table_schema": "s", "table_name": "of",
        "pages": 10_000, "tuples": 600_000.0, "options": [], "modified": 0, "live": 600_000, "counted_s": 60.0,
        "is_locked": false, "columns": 3, "known": 3, "width_bytes": 76.0, "may_have_nulls": false,
        "unknown_nulls": 0,
    });
    let serde_json::Value::Object(more) = more else { panic!("more fields") };
    row.as_object_mut().expect("an object").extend(more);
    row
}
