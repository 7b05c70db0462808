//! Conditions on single rows: all of a table's are counted in one walk over it.

use posthaste_pg::Error;

use super::super::check::RowCheck;
use super::super::tables::{Table, from};
use super::{Counted, Counter};
use crate::template::fill;

/// Where the first row that breaks a condition was seen.
struct Seen {
    leaf: String,
    piece: String,
}

impl Counter<'_> {
    /// The numbers of each condition; none for those that could not be counted.
    pub(in super::super) async fn count_rows(
        &mut self,
        table: &Table<'_>,
        checks: &[&RowCheck],
    ) -> Vec<Option<Counted>> {
        if checks.is_empty() {
            return Vec::new();
        }
        match self.try_rows(table, checks).await {
            Ok(counted) => counted.into_iter().map(Some).collect(),
            // One bad condition must not take the others with it.
            Err(error) if checks.len() > 1 && error.sqlstate().is_some_and(is_of_one) => {
                let (first, second) = checks.split_at(checks.len() / 2);
                let mut all = Box::pin(self.count_rows(table, first)).await;
                all.extend(Box::pin(self.count_rows(table, second)).await);
                all
            }
            Err(error) => {
                let says = if checks.len() == 1 { checks[0].about.code } else { "conditions on single rows" };
                let mut columns: Vec<String> =
                    checks.iter().flat_map(|check| check.about.columns.iter().cloned()).collect();
                columns.dedup();
                let columns =
                    if checks.len() == 1 { format!(" ({})", columns.join(", ")) } else { String::new() };
                self.skip(
                    format!("{says} of `{}.{}`{columns}", table.name().schema, table.name().name),
                    &error,
                );
                checks.iter().map(|_| None).collect()
            }
        }
    }

    async fn try_rows(&self, table: &Table<'_>, checks: &[&RowCheck]) -> Result<Vec<Counted>, Error> {
        let counts = checks.iter().flat_map(|check| {
            let beside = check.beside.iter().map(|(_, condition)| condition);
            std::iter::once(&check.condition).chain(beside)
        });
        let counts: String =
            counts.map(|condition| format!(",\n  count(*) filter (where {condition})")).collect();
        let mut totals: Vec<i64> = Vec::new();
        let mut seen: Vec<Option<Seen>> = checks.iter().map(|_| None).collect();
        for leaf in &table.leaves {
            let sample = self.sample();
            self.in_pieces(leaf, "rows", async |piece| {
                let sql = fill(
                    include_str!("../../../sql/integrity/rows.sql"),
                    &[("counts", &counts), ("table", &from(leaf)), ("sample", &sample), ("piece", piece)],
                );
                let row = self.visit.query_one(&sql, &[]).await?;
                let found: Vec<i64> = row.try_get("counts")?;
                let mut place = 1;
                for (check, seen) in checks.iter().zip(&mut seen) {
                    if found.get(place).is_some_and(|count| *count > 0) && seen.is_none() {
                        *seen = Some(Seen { leaf: from(leaf), piece: piece.to_owned() });
                    }
                    place += 1 + check.beside.len();
                }
                totals.resize(found.len(), 0);
                totals.iter_mut().zip(found).for_each(|(total, count)| *total += count);
                Ok(())
            })
            .await?;
        }
        self.collect(table, checks, &totals, &seen).await
    }

    async fn collect(
        &self,
        table: &Table<'_>,
        checks: &[&RowCheck],
        totals: &[i64],
        seen: &[Option<Seen>],
    ) -> Result<Vec<Counted>, Error> {
        let mut place = 1;
        let mut all = Vec::new();
        let number = |place: usize| totals.get(place).copied().unwrap_or(0);
        for (check, seen) in checks.iter().zip(seen) {
            let more = check
                .beside
                .iter()
                .enumerate()
                .map(|(offset, (name, _))| (*name, number(place + 1 + offset)));
            let mut counted =
                Counted { rows: number(place), of: number(0), more: more.collect(), ..Counted::default() };
            if let Some(seen) = seen {
                let sql = fill(
                    include_str!("../../../sql/integrity/sample_rows.sql"),
                    &[
                        ("shown", &super::shown(table, &check.about.columns)),
                        ("table", &seen.leaf),
                        ("condition", &check.condition),
                        ("piece", &seen.piece),
                    ],
                );
                counted.samples = self.texts(&sql).await?;
            }
            place += 1 + check.beside.len();
            all.push(counted);
        }
        Ok(all)
    }

    /// The first column of each row, sorted, so that the same data gives the same words.
    pub(super) async fn texts(&self, sql: &str) -> Result<Vec<String>, Error> {
        let rows = self.visit.query(sql, &[]).await?;
        let mut texts = Vec::new();
        for row in rows {
            texts.push(row.try_get::<_, Option<String>>(0)?.unwrap_or_default());
        }
        texts.sort();
        Ok(texts)
    }
}

/// Whether the error is about what a condition says, and not about the table or the session.
fn is_of_one(state: &str) -> bool {
    let is_of_table = ["42501", "55P03", "42P01", "57P01", "57P02", "57P03"].contains(&state);
    !is_of_table && !state.starts_with("08")
}
