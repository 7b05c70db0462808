//! How many rows an UPDATE or DELETE writes, from the planner's statistics.
//!
//! A rough guess is enough: what is asked is whether it is a few, or a good part of the table. Not for: what that
//! costs (see `severity`).

use posthaste_base::catalog::{Name, Relation};

use crate::context::{State, shown};
use crate::severity::{count, to_f64};
use crate::statement::{Conjunct, Expression, Identifier, Query, TableUse};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    pub rows: Option<u64>,
    /// Nothing keeps it from any row.
    pub is_all: bool,
    /// A whole unique key is compared with constants, or a cursor is meant.
    pub is_single: bool,
    pub reasons: Vec<String>,
    pub depends_on: Vec<String>,
}

/// What one comparison lets through, where the statistics say nothing: the planner's own guess for a range.
const GUESS: f64 = 1.0 / 3.0;

pub(crate) fn of(query: &Query, state: &State) -> Estimate {
    let Some(target) = &query.target else { return Estimate { is_single: true, ..Estimate::default() } };
    let name = state.name(&target.name);
    let total = state.volume(&name).rows();
    let mut estimate =
        Estimate { is_all: query.condition.is_none() && !query.is_joined, ..Estimate::default() };
    if query.is_positioned {
        return Estimate { is_single: true, rows: Some(1), ..estimate };
    }
    let relation = state.relation(&name);
    if let Some(condition) = &query.condition
        && is_single(relation, condition, called(target))
    {
        return Estimate { is_single: true, rows: Some(1), ..estimate };
    }
    let Some(total) = total else {
        estimate.depends_on.push(format!("how many rows of {} it finds", shown(&name)));
        return estimate;
    };
    let mut rows = to_f64(total);
    if let (Some(relation), Some(condition)) = (relation, &query.condition) {
        rows *= selectivity(state, &name, relation, condition, target);
    }
    if query.is_joined {
        rows = rows.min(joined(query, state, &name));
    }
    let rows = whole(rows).min(total);
    if !estimate.is_all {
        estimate.reasons.push(format!(
            "about {} of {} rows, by the planner's statistics",
            count(rows),
            count(total)
        ));
    }
    estimate.rows = Some(rows);
    estimate
}

/// Rows of the tables that it is joined with, each thinned out by its own conditions: no more rows can be found.
fn joined(query: &Query, state: &State, target: &Name) -> f64 {
    let mut most = f64::INFINITY;
    for used in &query.reads {
        let name = state.name(&used.name);
        if name == *target {
            continue;
        }
        let (Some(relation), Some(rows)) = (state.relation(&name), state.volume(&name).rows()) else {
            continue;
        };
        let thinned = query
            .condition
            .as_ref()
            .map_or(1.0, |condition| selectivity(state, &name, relation, condition, used));
        most = most.min(to_f64(rows) * thinned);
    }
    most
}

/// A comparison of a column with constants, with the table's name or alias if one is written.
struct Comparison<'a> {
    table: Option<&'a str>,
    column: &'a str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    NotNull,
    Equal,
    Unequal,
    Range,
    /// One of so many.
    In(usize),
}

fn comparisons(condition: &Expression) -> Vec<Comparison<'_>> {
    condition.conjuncts.iter().filter_map(Comparison::of).collect()
}

impl<'a> Comparison<'a> {
    fn of(conjunct: &'a Conjunct) -> Option<Self> {
        let plain = |column: &'a Identifier, kind| Comparison { table: None, column: column.as_str(), kind };
        match conjunct {
            Conjunct::Null(column) => Some(plain(column, Kind::Null)),
            Conjunct::NotNull(column) => Some(plain(column, Kind::NotNull)),
            Conjunct::Compare { column, operator, .. } => Some(plain(column, of_operator(operator))),
            Conjunct::In { column, values } => Some(plain(column, Kind::In(values.len()))),
            Conjunct::Other { text } => qualified(text),
        }
    }

    fn is_of(&self, called: &str, relation: &Relation) -> bool {
        self.table.is_none_or(|table| table == called)
            && relation.columns.iter().any(|known| known.name == self.column)
    }
}

fn of_operator(operator: &str) -> Kind {
    match operator {
        "=" => Kind::Equal,
        "<>" | "!=" => Kind::Unequal,
        _ => Kind::Range,
    }
}

/// `s.status = 'active'` and its like: a column with its table, against constants.
fn qualified(text: &str) -> Option<Comparison<'_>> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let (table, rest) = text.split_once('.')?;
    let end = rest.find(|c: char| !is_name(c))?;
    let (column, rest) = rest.split_at(end);
    if column.is_empty() || !table.chars().all(is_name) {
        return None;
    }
    let rest = rest.trim_start();
    let upper = rest.to_ascii_uppercase();
    let kind = if upper == "IS NULL" {
        Kind::Null
    } else if upper == "IS NOT NULL" {
        Kind::NotNull
    } else if let Some(list) = upper.strip_prefix("IN").map(str::trim_start) {
        // A list of constants has no names in it but those in quotes.
        let has_query = list.trim_start_matches(['(', ' ']).starts_with("SELECT");
        if has_query || !list.starts_with('(') {
            return None;
        }
        Kind::In(list.matches(',').count() + 1)
    } else {
        let operator_end = rest.find(|c: char| !"<>=!".contains(c))?;
        let (operator, value) = rest.split_at(operator_end);
        let value = value.trim_start();
        let is_constant = value
            .starts_with(|c: char| c == '\'' || c == '$' || c == '-' || c.is_ascii_digit())
            || ["true", "false"].contains(&value.to_ascii_lowercase().as_str());
        if operator.is_empty() || !is_constant {
            return None;
        }
        of_operator(operator)
    };
    Some(Comparison { table: Some(table), column, kind })
}

/// Whether every column of a unique key is compared with a constant.
fn is_single(relation: Option<&Relation>, condition: &Expression, called: &str) -> bool {
    let comparisons = comparisons(condition);
    let is_pinned = |column: &str| {
        comparisons.iter().any(|found| {
            found.column == column
                && found.table.is_none_or(|table| table == called)
                && matches!(found.kind, Kind::Equal | Kind::In(..=100))
        })
    };
    let Some(relation) = relation else {
        // Without a catalog `id` is taken for a key: nearly every table has it so.
        return is_pinned("id") || is_pinned("uuid");
    };
    relation.indexes.iter().any(|index| {
        index.is_unique
            && index.predicate.is_none()
            && !index.keys.is_empty()
            && index.keys.iter().all(|key| key.column.as_deref().is_some_and(is_pinned))
    })
}

/// The part of a table's rows that its own conditions let through.
fn selectivity(
    state: &State,
    name: &Name,
    relation: &Relation,
    condition: &Expression,
    used: &TableUse,
) -> f64 {
    let called = called(used);
    let comparisons = comparisons(condition);
    let own = comparisons.iter().filter(|found| found.is_of(called, relation));
    own.map(|found| match found.kind {
        Kind::Null => null_fraction(state, name, relation, found.column),
        Kind::NotNull => 1.0 - null_fraction(state, name, relation, found.column),
        Kind::Equal => equal_fraction(relation, found.column),
        Kind::Unequal => 1.0 - equal_fraction(relation, found.column),
        Kind::Range => GUESS,
        Kind::In(values) => {
            let values = to_f64(u64::try_from(values).unwrap_or(u64::MAX));
            (equal_fraction(relation, found.column) * values).min(1.0)
        }
    })
    .product()
}

fn called(used: &TableUse) -> &str {
    used.alias.as_deref().unwrap_or(&used.name.name)
}

fn null_fraction(state: &State, name: &Name, relation: &Relation, column: &str) -> f64 {
    // A column that the migration added without a default is NULL everywhere.
    if state.added_null.contains(&(name.clone(), column.to_owned())) {
        return 1.0;
    }
    let known = relation.columns.iter().find(|known| known.name == column);
    known.and_then(|known| known.null_fraction).map_or(GUESS, f64::from)
}

/// The planner's own guess for how many values a column has of which it knows nothing.
const DISTINCT_GUESS: f64 = 200.0;

/// What a comparison for equality lets through: one of the distinct values.
fn equal_fraction(relation: &Relation, column: &str) -> f64 {
    let distinct =
        relation.columns.iter().find(|known| known.name == column).and_then(|known| known.distinct);
    match distinct.map(f64::from) {
        Some(distinct) if distinct >= 1.0 => 1.0 / distinct,
        Some(distinct) if distinct < 0.0 => {
            let rows = relation.size.rows.map_or(1.0, to_f64).max(1.0);
            1.0 / (-distinct * rows).max(1.0)
        }
        _ => 1.0 / DISTINCT_GUESS,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate that is not below zero"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use posthaste_base::catalog::{Catalog, Column, Index, IndexKey, Size};

    use super::*;
    use crate::statement::Statement;

    fn state() -> State {
        let column = |name: &str, distinct, null_fraction| Column {
            name: name.to_owned(),
            distinct: Some(distinct),
            null_fraction: Some(null_fraction),
            ..Column::default()
        };
        let table = |name: &str, rows| Relation {
            name: Name::new("public", name),
            columns: vec![column("id", -1.0, 0.0), column("status", 4.0, 0.5), column("other_id", -0.5, 0.0)],
            indexes: vec![Index {
                is_unique: true,
                keys: vec![IndexKey { column: Some("id".to_owned()), ..IndexKey::default() }],
                ..Index::default()
            }],
            size: Size { rows: Some(rows), bytes: 1, toast_bytes: 0 },
            ..Relation::default()
        };
        State::new(Some(&Catalog {
            relations: vec![table("a", 1000), table("b", 400)],
            ..Catalog::default()
        }))
    }

    fn check(sql: &str, expected: Option<u64>) {
        let script = crate::parse(sql);
        let Statement::Query(query) = &script.statements[0].statement else { panic!("{sql}") };
        assert_eq!(of(query, &state()).rows, expected, "{sql}");
    }

    #[test]
    fn rows_follow_the_statistics() {
        check("update a set status = 1", Some(1000));
        check("delete from a where id = 5", Some(1));
        check("delete from a x where x.id = 5", Some(1));
        check("delete from a where id in (1, 2)", Some(1));
        check("update a set id = 1 where status = 'x'", Some(250));
        check("update a set id = 1 where status in ('x', 'y')", Some(500));
        check("update a set id = 1 where status <> 'x'", Some(750));
        check("update a set id = 1 where status is null", Some(500));
        check("update a set id = 1 where other_id > 5", Some(333));
        check("update a set id = 1 where lower(status) = 'x'", Some(1000));
        check("update nowhere set id = 1", None);
    }

    #[test]
    fn a_join_finds_no_more_rows_than_the_other_table_has() {
        check("update a set id = 1 from b where b.other_id = a.id", Some(400));
        check("update a set id = 1 from b x where x.other_id = a.id and x.status = 'x'", Some(100));
        check("update a set id = 1 from b x where x.other_id = a.id and x.status in ('x', 'y')", Some(200));
        check("delete from b using a where a.id = b.other_id", Some(400));
    }
}
