//! What a plan measures before it begins and after it is done: wrong rows, sizes, and the slowest statements.
//!
//! Not for: times of the run itself, which its journal has.

use std::collections::BTreeMap;

use posthaste_base::catalog::Name;
use posthaste_base::{Error, quote};
use posthaste_pg::{Target, Visit};
use posthaste_report::{Action, Effect, Lock, LockMode, Step};
use serde::Serialize;

use super::mend::Mending;
use crate::template::fill;
use crate::visiting::{cell, reader, says};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

/// The step that measures. What steps have found is measured by them; in the end all of it is counted again.
pub(super) fn step(plan: &str, moment: Moment, tables: &[Name], mended: &[Mending]) -> Step {
    let (id, title, word) = match moment {
        Moment::Before => ("measure-before", "measure sizes and statements before", "before"),
        Moment::After => ("measure-after", "measure what is left, sizes and statements after", "after"),
    };
    let (name, word) = (quote::literal(plan), quote::literal(word));
    let mut statements = Vec::new();
    if moment == Moment::After {
        // From the heap: an index may be what was broken.
        statements.push(fill(include_str!("../../sql/fix/settings.sql"), &[]));
        statements.extend(mended.iter().map(|mending| mending.measure(plan)));
    }
    statements.extend(tables.iter().map(|table| {
        let relation = quote::literal(&table.quoted());
        let values = [("plan", name.as_str()), ("moment", &word), ("relation", &relation)];
        fill(include_str!("../../sql/fix/measure_sizes.sql"), &values)
    }));
    let values = [("plan", name.as_str()), ("moment", &word)];
    statements.push(fill(include_str!("../../sql/fix/measure_statements.sql"), &values));
    let mut step = Step::new(id, title, Action::Transaction { statements });
    step.effect = Effect::Scan;
    step.locks = tables.iter().map(|table| Lock::table(table, LockMode::AccessShare)).collect();
    step.needs_no_undo = true;
    step
}

/// One number before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// `rows-wrong`, `table-bytes`, `index-bytes` or `statement-mean-ms`.
    pub what: String,
    /// The step, the table, or the statement.
    pub name: String,
    #[serde(serialize_with = "whole_if_whole")]
    pub before: Option<f64>,
    #[serde(serialize_with = "whole_if_whole")]
    pub after: Option<f64>,
}

/// Rows and bytes are whole: 15 and not 15.0.
#[expect(clippy::ref_option, reason = "serde asks for this signature")]
fn whole_if_whole<S: serde::Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            serializer.serialize_i64(*number as i64)
        }
        value => value.serialize(serializer),
    }
}

/// What is known of one thing at each moment.
#[derive(Default)]
struct Seen {
    before: Option<f64>,
    after: Option<f64>,
    query: Option<String>,
}

/// What a plan has measured. Of a statement, `after` is the mean of its calls since the plan was done; it is left out
/// as long as there was none.
pub async fn measured(target: &Target, plan: &str) -> Result<Vec<Measured>, Error> {
    let visit = reader(target, "posthaste fix").await?;
    if !says(&visit, include_str!("../../sql/fix/is_measured.sql"), "is_measured").await? {
        return Ok(Vec::new());
    }
    let rows = visit.query(include_str!("../../sql/fix/measured.sql"), &[&plan]).await?;
    let mut seen: BTreeMap<(String, String), Seen> = BTreeMap::new();
    for row in &rows {
        let (what, name, moment, value, query) = read(row)?;
        let one = seen.entry((what, name)).or_default();
        one.query = one.query.take().or(query);
        let slot = if moment == "before" { &mut one.before } else { &mut one.after };
        *slot = Some(value);
    }
    let mut measured = Vec::new();
    let mut statements = Vec::new();
    for ((what, name), one) in &seen {
        match what.as_str() {
            "statement-calls" => statements.push(name.clone()),
            "statement-ms" => {}
            _ => measured.push(Measured {
                what: what.clone(),
                name: name.clone(),
                before: one.before,
                after: one.after,
            }),
        }
    }
    let now = statements_now(&visit, &statements).await?;
    for id in statements {
        let of = |what: &str| seen.get(&(what.to_owned(), id.clone()));
        let (Some(calls), Some(ms)) = (of("statement-calls"), of("statement-ms")) else { continue };
        measured.push(Measured {
            what: "statement-mean-ms".into(),
            name: calls.query.clone().unwrap_or_else(|| id.clone()),
            before: mean(ms.before, calls.before, None),
            after: now.get(&id).and_then(|(calls_now, ms_now)| {
                mean(Some(*ms_now), Some(*calls_now), Some((ms.after?, calls.after?)))
            }),
        });
    }
    Ok(measured)
}

/// The mean of the calls since then, or of all.
fn mean(ms: Option<f64>, calls: Option<f64>, since: Option<(f64, f64)>) -> Option<f64> {
    let (ms_then, calls_then) = since.unwrap_or_default();
    let (ms, calls) = (ms? - ms_then, calls? - calls_then);
    // Fewer than then: somebody has reset the counters.
    (calls > 0.0 && ms >= 0.0).then(|| ms / calls)
}

type Row = (String, String, String, f64, Option<String>);

fn read(row: &posthaste_pg::driver::Row) -> Result<Row, posthaste_pg::Error> {
    Ok((
        row.try_get("what")?,
        row.try_get("name")?,
        row.try_get("moment")?,
        row.try_get("value")?,
        row.try_get("query")?,
    ))
}

/// Calls and milliseconds by the statement's id; none where the extension is gone, or cannot be read.
async fn statements_now(visit: &Visit, ids: &[String]) -> Result<BTreeMap<String, (f64, f64)>, Error> {
    let mut now = BTreeMap::new();
    if ids.is_empty() {
        return Ok(now);
    }
    let place = visit.query_opt(include_str!("../../sql/fix/statements_place.sql"), &[]).await?;
    let Some(place) = place else { return Ok(now) };
    let schema: String = cell(&place, "schema")?;
    let sql = fill(include_str!("../../sql/fix/statements_now.sql"), &[("schema", &schema)]);
    for row in visit.query(&sql, &[&ids]).await.unwrap_or_default() {
        let read = || -> Result<_, posthaste_pg::Error> {
            Ok((row.try_get("id")?, (row.try_get("calls")?, row.try_get("ms")?)))
        };
        let (id, counters) = read()?;
        now.insert(id, counters);
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_the_calls_since_then_and_withheld_without_any() {
        assert_eq!(mean(Some(30.0), Some(3.0), None), Some(10.0));
        assert_eq!(mean(Some(30.0), Some(3.0), Some((20.0, 1.0))), Some(5.0));
        assert_eq!(mean(Some(30.0), Some(3.0), Some((30.0, 3.0))), None);
        assert_eq!(mean(Some(3.0), Some(1.0), Some((30.0, 3.0))), None);
    }
}
