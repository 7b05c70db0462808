//! Partitions with their bounds, from one query, and what lies between them.
//!
//! Not for: what makes a finding of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use posthaste_base::catalog::Name;
use serde::Deserialize;

pub(super) const SQL: &str = include_str!("../../sql/doctor/partition.sql");

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    pub parent_oid: i64,
    pub parent_schema: String,
    pub parent_name: String,
    pub strategy: String,
    pub key_columns: usize,
    pub key_type: Option<String>,
    pub has_default: bool,
    pub schema: Option<String>,
    pub name: Option<String>,
    pub is_default: Option<bool>,
    pub bound: Option<String>,
    pub tuples: Option<f64>,
    pub live: i64,
    pub inserted: i64,
}

/// A point of a range: the text is PostgreSQL's own, the number orders it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Lowest,
    At(f64, String),
    Highest,
}

#[derive(Clone, Debug)]
pub(super) struct Range {
    pub from: Point,
    pub to: Point,
    pub name: String,
    pub inserted: i64,
}

impl Row {
    pub(super) fn parent(&self) -> Name {
        Name::new(self.parent_schema.as_str(), self.parent_name.as_str())
    }

    pub(super) fn child(&self) -> Option<Name> {
        Some(Name::new(self.schema.as_deref()?, self.name.as_deref()?))
    }

    pub(super) fn rows(&self) -> f64 {
        (self.live as f64).max(self.tuples.unwrap_or_default()).max(0.0)
    }

    pub(super) fn is_time(&self) -> bool {
        self.key_type.as_deref().is_some_and(|kind| kind == "date" || kind.starts_with("timestamp"))
    }
}

/// The partitions of each parent, in the order of the catalog.
pub(super) fn by_parent(rows: &[Row]) -> BTreeMap<i64, Vec<&Row>> {
    let mut parents: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        parents.entry(row.parent_oid).or_default().push(row);
    }
    parents
}

/// The ranges of a parent in order; none when its key has several columns or a type without numbers.
pub(super) fn ranges(rows: &[&Row]) -> Option<Vec<Range>> {
    let first = rows.first()?;
    if first.strategy != "r" || first.key_columns != 1 {
        return None;
    }
    let mut ranges = Vec::new();
    for row in rows.iter().filter(|row| row.is_default == Some(false)) {
        let bound = row.bound.as_deref()?.strip_prefix("FOR VALUES FROM (")?.strip_suffix(')')?;
        let (from, to) = bound.split_once(") TO (")?;
        ranges.push(Range {
            from: point(from)?,
            to: point(to)?,
            name: row.name.clone().unwrap_or_default(),
            inserted: row.inserted,
        });
    }
    ranges.sort_by(|a, b| a.from.order().total_cmp(&b.from.order()));
    Some(ranges)
}

impl Point {
    pub(super) fn order(&self) -> f64 {
        match self {
            Point::Lowest => f64::NEG_INFINITY,
            Point::At(number, _) => *number,
            Point::Highest => f64::INFINITY,
        }
    }

    /// As it stands in a bound.
    pub(super) fn text(&self) -> &str {
        match self {
            Point::Lowest => "MINVALUE",
            Point::At(_, text) => text,
            Point::Highest => "MAXVALUE",
        }
    }
}

/// Times are seconds since 1970 in UTC: the session writes them so.
fn point(text: &str) -> Option<Point> {
    match text {
        "MINVALUE" => return Some(Point::Lowest),
        "MAXVALUE" => return Some(Point::Highest),
        _ => {}
    }
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text);
    let number = inner.parse::<f64>().ok().or_else(|| seconds(inner))?;
    Some(Point::At(number, text.to_owned()))
}

fn seconds(text: &str) -> Option<f64> {
    let zoned = text.replacen(' ', "T", 1);
    // PostgreSQL leaves the minutes of an offset out when there are none.
    let complete = if zoned.ends_with("+00") { format!("{zoned}:00") } else { zoned.clone() };
    if let Ok(time) = complete.parse::<Timestamp>() {
        return Some(time.as_second() as f64);
    }
    let civil = zoned.parse::<DateTime>().ok().or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)))?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second() as f64)
}

/// A moment as the key's type writes it.
pub(super) fn written(seconds: f64, key_type: &str) -> Option<String> {
    let civil = Timestamp::from_second(seconds as i64).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let text = match key_type {
        "date" => civil.date().to_string(),
        kind if kind.contains("with time zone") => format!("{} {}+00", civil.date(), civil.time()),
        _ => format!("{} {}", civil.date(), civil.time()),
    };
    Some(format!("'{text}'"))
}

#[cfg(test)]
pub(super) fn row(oid: i64, name: &str, bound: &str) -> serde_json::Value {
    serde_json::json!({
        "parent_oid": 1, "parent_schema": "public", "parent_name": "Events", "strategy": "r", "key_columns": 1,
        "columns": ["at"], "key_type": "timestamp with time zone", "has_default": false, "oid": oid,
        "schema": "public", "name": name, "kind": "r", "is_default": bound == "DEFAULT", "bound": bound,
        "tuples": 10.0, "pages": 1, "live": 10, "inserted": 10,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_every_type_are_read() {
        let check = |text: &str, expected: f64| {
            assert_eq!(point(text).map(|point| point.order()), Some(expected), "{text}");
        };
        check("'2025-01-01 00:00:00+00'", 1_735_689_600.0);
        check("'2025-01-01 00:00:00'", 1_735_689_600.0);
        check("'2025-01-01'", 1_735_689_600.0);
        check("100", 100.0);
        check("'100'", 100.0);
        check("MINVALUE", f64::NEG_INFINITY);
        assert_eq!(point("'abc'"), None);
        assert_eq!(written(1_735_689_600.0, "timestamp with time zone").unwrap(), "'2025-01-01 00:00:00+00'");
        assert_eq!(written(1_735_689_600.0, "date").unwrap(), "'2025-01-01'");
    }
}
