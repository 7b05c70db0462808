//! Queries of the user's own, and the statements in which their conditions stand.

use posthaste_pg::Error;

use super::super::check::{Check, QueryCheck};
use super::{Counted, Counter};
use crate::template::fill;

impl Counter<'_> {
    /// The statement that a rule's own SQL stands in, and after how many characters it begins there.
    pub(in super::super) fn statement_of(&self, check: &Check) -> Option<(String, usize)> {
        let (template, values, own): (&str, Vec<(&str, String)>, &str) = match check {
            Check::Query(check) => (
                include_str!("../../../sql/integrity/query_rows.sql"),
                vec![("query", check.query.clone())],
                &check.query,
            ),
            Check::Row(check) => {
                let table = self.tables.find(&check.about.table)?;
                let values = vec![
                    ("counts", format!(", count(*) filter (where {})", check.condition)),
                    ("table", table.from()),
                    ("sample", String::new()),
                    ("piece", "true".into()),
                ];
                (include_str!("../../../sql/integrity/rows.sql"), values, &check.condition)
            }
            Check::Group(check) => {
                let values = vec![
                    ("table", check.from.clone()),
                    ("filter", "true".into()),
                    ("match", format!("num_nulls({}) = 0", check.expressions.join(", "))),
                ];
                let own = check.expressions.first()?.trim_start_matches('(');
                (include_str!("../../../sql/integrity/rows_of_value.sql"), values, own.trim_end_matches(')'))
            }
            Check::Orphan(_) | Check::Total(_) => return None,
        };
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let sql = fill(template, &values);
        let start = sql.find(own).map_or(0, |byte| sql[..byte].chars().count());
        Some((sql, start))
    }

    pub(in super::super) async fn count_query(&mut self, check: &QueryCheck) -> Option<Counted> {
        match self.try_query(check).await {
            Ok(counted) => Some(counted),
            Err(error) => {
                let kind = if check.about.code == "rule-broken" { "rule" } else { "constraint" };
                self.skip(format!("{kind} `{}`", check.about.name.clone().unwrap_or_default()), &error);
                None
            }
        }
    }

    async fn try_query(&self, check: &QueryCheck) -> Result<Counted, Error> {
        let values = [("query", check.query.as_str())];
        let sql = fill(include_str!("../../../sql/integrity/query_rows.sql"), &values);
        let rows: i64 = self.visit.query_one(&sql, &[]).await?.try_get("rows")?;
        let mut counted = Counted { rows, ..Counted::default() };
        if rows > 0 {
            let sql = fill(include_str!("../../../sql/integrity/query_sample.sql"), &values);
            counted.samples = self.texts(&sql).await?;
        }
        Ok(counted)
    }
}
