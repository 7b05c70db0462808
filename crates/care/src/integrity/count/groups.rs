//! Rows that are equal where they must not be.

use posthaste_pg::Error;

use super::super::check::{Belief, GroupCheck};
use super::super::tables::Table;
use super::{Counted, Counter, PARTS_MAX, is_timeout};
use crate::template::fill;

/// The parts of the statements that are the same in all of them.
struct Parts {
    keys: Vec<String>,
    grouped_by: String,
    filter: String,
    many: String,
}

impl Counter<'_> {
    pub(in super::super) async fn count_groups(
        &mut self,
        table: &Table<'_>,
        check: &GroupCheck,
    ) -> Option<Counted> {
        let switch = include_str!("../../../sql/integrity/by_sorting.sql");
        let sorts = is_of_integers(table, check) && self.visit.query_one(switch, &[&"off"]).await.is_ok();
        let counted = self.try_groups(table, check).await;
        if sorts {
            // A session that is lost says so with its next statement.
            let _ = self.visit.query_one(switch, &[&"on"]).await;
        }
        match counted {
            Ok(counted) => Some(counted),
            Err(error) => {
                let about = &check.about;
                let what = format!(
                    "{} of `{}.{}` by {}",
                    about.code,
                    about.table.schema,
                    about.table.name,
                    check.expressions.join(", ").replace("t.", "")
                );
                self.skip(what, &error);
                None
            }
        }
    }

    async fn try_groups(&self, table: &Table<'_>, check: &GroupCheck) -> Result<Counted, Error> {
        let parts = parts(check);
        let mut counted = Counted::default();
        let (mut part, mut of, mut groups, mut sampled_from) =
            (0, self.parts(table, check.can_be_parted), 0, None);
        while part < of {
            let pass = self.part(&parts.keys, part, of, check.can_be_parted);
            let started = std::time::Instant::now();
            let sql = fill(include_str!("../../../sql/integrity/groups.sql"), &values(check, &parts, &pass));
            let row = match self.visit.query_one(&sql, &[]).await {
                Ok(row) => row,
                // Again from the start, a smaller part at a time.
                Err(error) if is_timeout(&error) && check.can_be_parted && of * 4 <= PARTS_MAX => {
                    (part, of, groups, counted.rows) = (0, of * 4, 0, 0);
                    continue;
                }
                Err(error) => return Err(error),
            };
            groups += row.try_get::<_, i64>("groups")?;
            counted.rows += row.try_get::<_, i64>("rows")?;
            if groups > 0 && sampled_from.is_none() {
                sampled_from = Some(pass);
            }
            part += 1;
            self.rest(started.elapsed()).await;
        }
        counted.more = vec![("groups", groups), ("surplus", counted.rows - groups)];
        if let Some(pass) = sampled_from {
            counted.of = self.rows_of(check).await?;
            counted.samples = self.sample_groups(check, &parts, &pass).await?;
            counted.evidence.extend(self.index_misses(check, &parts, &pass).await.unwrap_or_default());
        }
        Ok(counted)
    }

    async fn rows_of(&self, check: &GroupCheck) -> Result<i64, Error> {
        let sql = fill(
            include_str!("../../../sql/integrity/rows_of_value.sql"),
            &[("table", &check.from), ("filter", &parts(check).filter), ("match", "true")],
        );
        self.visit.query_one(&sql, &[]).await?.try_get(0).map_err(Error::from)
    }

    async fn sample_groups(
        &self,
        check: &GroupCheck,
        parts: &Parts,
        pass: &str,
    ) -> Result<Vec<String>, Error> {
        let shown: Vec<String> =
            parts.keys.iter().map(|key| format!("coalesce(left(({key})::text, 60), 'null')")).collect();
        let shown = format!("concat_ws(', ', {})", shown.join(", "));
        let mut values = values(check, parts, pass);
        values.extend([("shown", shown.as_str()), ("limit", "5")]);
        let rows = self
            .visit
            .query(&fill(include_str!("../../../sql/integrity/sample_groups.sql"), &values), &[])
            .await?;
        let mut samples = Vec::new();
        for row in rows {
            samples.push(format!(
                "{} ({} rows)",
                row.try_get::<_, String>("shown")?,
                row.try_get::<_, i64>("n")?
            ));
        }
        Ok(samples)
    }

    /// Asks the index for a value that the heap holds several times: one that finds fewer is broken.
    async fn index_misses(
        &self,
        check: &GroupCheck,
        parts: &Parts,
        pass: &str,
    ) -> Result<Vec<String>, Error> {
        let is_plain = check.filter.is_none() && !check.is_variant && !check.nulls_are_equal;
        let (Some(index), true, true) = (&check.about.name, is_plain, check.belief == Belief::Declared)
        else {
            return Ok(Vec::new());
        };
        let literals: Vec<String> =
            parts.keys.iter().map(|key| format!("quote_literal(({key})::text)")).collect();
        let shown = format!("concat_ws(chr(1), {})", literals.join(", "));
        let mut with_literals = values(check, parts, pass);
        with_literals.extend([("shown", shown.as_str()), ("limit", "1")]);
        let sql = fill(include_str!("../../../sql/integrity/sample_groups.sql"), &with_literals);
        let Some(row) = self.visit.query_opt(&sql, &[]).await? else {
            return Ok(Vec::new());
        };
        let (value, by_heap): (String, i64) = (row.try_get("shown")?, row.try_get("n")?);
        let matches =
            parts.keys.iter().zip(value.split('\u{1}')).map(|(key, value)| format!("{key} = {value}"));
        let matched = matches.collect::<Vec<_>>().join(" and ");
        let sql = fill(
            include_str!("../../../sql/integrity/rows_of_value.sql"),
            &[("table", &check.from), ("filter", "true"), ("match", &matched)],
        );
        let switch = include_str!("../../../sql/integrity/use_index.sql");
        self.visit.query_one(switch, &[&"on", &"off"]).await?;
        let answer = self.visit.query_one(&sql, &[]).await;
        self.visit.query_one(switch, &[&"off", &"on"]).await?;
        let by_index: i64 = answer?.try_get(0)?;
        Ok(match by_index < by_heap {
            true => vec![format!(
                "the index `{index}` is broken: it finds a value {by_index} times that the table holds {by_heap} times"
            )],
            false => Vec::new(),
        })
    }
}

fn is_of_integers(table: &Table<'_>, check: &GroupCheck) -> bool {
    let is_integer = |name: &String| {
        let column = table.column(name);
        column.is_some_and(|column| {
            ["smallint", "integer", "bigint"].contains(&column.column.type_name.as_str())
        })
    };
    !check.is_variant && !check.about.columns.is_empty() && check.about.columns.iter().all(is_integer)
}

fn parts(check: &GroupCheck) -> Parts {
    let keys = check.keys();
    Parts { grouped_by: keys.join(", "), keys, filter: check.filter(), many: check.many() }
}

/// What the templates are filled with.
fn values<'a>(check: &'a GroupCheck, parts: &'a Parts, pass: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("keys", &parts.grouped_by),
        ("table", &check.from),
        ("filter", &parts.filter),
        ("pass", pass),
        ("many", &parts.many),
    ]
}
