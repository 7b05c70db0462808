//! Queries that a database runs already, as its monitoring logged them, and what they read.
//!
//! Reads a Performance Insights snapshot, rows of `pg_stat_statements` as JSON, or plain SQL. Not for: judging them.

use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use serde::Deserialize;

use crate::parse;
use crate::statement::{Query, Statement};

/// One query, with what is known of its use.
#[derive(Clone, Debug)]
pub struct LoggedQuery {
    pub text: String,
    pub calls_per_s: Option<f64>,
    /// Where it was read, such as `sqlId ghi789`.
    pub source: String,
    query: Option<Query>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    #[serde(rename = "topSQL")]
    top_sql: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(alias = "query")]
    sql_text: String,
    #[serde(alias = "queryid")]
    sql_id: Option<serde_json::Value>,
    calls_per_second: Option<f64>,
}

impl LoggedQuery {
    fn new(text: &str, calls_per_s: Option<f64>, source: String) -> Self {
        // Monitoring cuts long queries, and says so by dots.
        let readable = text.trim().trim_end_matches(['.', '…']);
        let script = parse(readable);
        let query = script.statements.into_iter().find_map(|located| match located.statement {
            Statement::Query(query) => Some(*query),
            _ => None,
        });
        Self { text: text.to_owned(), calls_per_s, source, query }
    }

    /// Whether it names the column of that table. A name without a table counts when it reads that table at all.
    pub(crate) fn reads(&self, table: &Name, column: &str) -> bool {
        let Some(query) = &self.query else { return false };
        let written = query.writes.iter().map(|write| &write.table);
        let used = query.reads.iter().chain(written).find(|used| {
            used.name.name == table.name
                && used.name.schema.as_ref().is_none_or(|schema| *schema == table.schema)
        });
        let Some(used) = used else { return false };
        let called = used.alias.as_deref().unwrap_or(&used.name.name);
        let named = query.columns_used.iter().any(|known| {
            known.column.as_str() == column && known.table.as_deref().is_none_or(|table| table == called)
        });
        let assigned = query.assignments.iter().any(|assignment| assignment.column.as_str() == column);
        named || assigned || query.columns.iter().any(|known| known.as_str() == column)
    }

    /// For messages.
    pub(crate) fn shortened(&self) -> String {
        const LONGEST: usize = 120;
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}...", &line[..end]),
            None => line,
        }
    }
}

/// Reads a file of queries by its form.
pub fn read(path: &str, text: &str) -> Result<Vec<LoggedQuery>, Error> {
    let start = text.trim_start();
    if !start.starts_with(['{', '[']) {
        let script = parse(text);
        let with_line = |located: crate::statement::Located| {
            LoggedQuery::new(&located.text, None, format!("{path}, line {}", located.line))
        };
        return Ok(script.statements.into_iter().map(with_line).collect());
    }
    let refuse = |error: serde_json::Error| {
        Error::new(Code::InvalidFile, format!("{path} cannot be read: {error}"))
            .expected("a Performance Insights snapshot (`topSQL`), or a list of objects with `query`")
    };
    let entries = if start.starts_with('{') {
        serde_json::from_str::<Snapshot>(text).map_err(refuse)?.top_sql
    } else {
        serde_json::from_str::<Vec<Entry>>(text).map_err(refuse)?
    };
    let queries = entries.iter().enumerate().map(|(at, entry)| {
        let id = match &entry.sql_id {
            Some(serde_json::Value::String(id)) => format!("query {id}"),
            Some(id) => format!("query {id}"),
            None => format!("query {}", at + 1),
        };
        LoggedQuery::new(&entry.sql_text, entry.calls_per_second, id)
    });
    Ok(queries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, column: &str, expected: bool) {
        let query = LoggedQuery::new(text, None, String::new());
        assert_eq!(query.reads(&Name::new("public", "users"), column), expected, "{text}: {column}");
    }

    #[test]
    fn columns_are_those_of_the_table_that_is_named() {
        check("select id, preference_json from users where id = $1", "preference_json", true);
        check("select u.preference_json from users u", "preference_json", true);
        check("select j.preference_json from users u join jobs j on true", "preference_json", false);
        check("select preference_json from jobs", "preference_json", false);
        check("select preference_json from other.users", "preference_json", false);
        check("update users set preference_json = $1 where id = $2", "preference_json", true);
        check("insert into users (id, preference_json) values ($1, $2)", "preference_json", true);
        check(
            "select u.id, u.preference_json from users u where u.id = $1 and u.created_at > now()...",
            "preference_json",
            true,
        );
    }

    #[test]
    fn forms_are_told_apart() {
        let snapshot =
            r#"{"topSQL": [{"sqlText": "select id from users", "sqlId": "a1", "callsPerSecond": 2.5}]}"#;
        let read_snapshot = read("x.json", snapshot).unwrap();
        assert_eq!((read_snapshot[0].calls_per_s, read_snapshot[0].source.as_str()), (Some(2.5), "query a1"));
        assert_eq!(
            read("x.json", r#"[{"query": "select 1", "queryid": 12}]"#).unwrap()[0].source,
            "query 12"
        );
        assert_eq!(read("x.sql", "select 1;\nselect 2;").unwrap().len(), 2);
        assert_eq!(read("x.json", "{").unwrap_err().code(), Code::InvalidFile);
    }
}
