//! What is to be counted: promises that the schema makes, and suspicions that names and types give rise to.
//!
//! Not for: counting.

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Confidence, Severity};

/// What all of them have: what is said when rows break it.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub code: &'static str,
    pub severity: Severity,
    pub table: Name,
    pub columns: Vec<String>,
    /// A constraint's or an index's.
    pub name: Option<String>,
    /// After "3 of 100 rows of `public.products`": "have a negative `stock`".
    pub says: String,
    pub confidence: Confidence,
    pub evidence: Vec<String>,
    pub depends_on: Vec<String>,
}

/// When it is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Belief {
    /// The schema, or a rule of the user's own, says so.
    Declared,
    /// Nobody said so; as long as no larger share of the rows breaks it, the others show that it is meant.
    AtMost(f64),
}

/// A condition that breaks it, on one row, which is called `t`.
#[derive(Clone, Debug)]
pub(crate) struct RowCheck {
    pub about: About,
    pub condition: String,
    pub belief: Belief,
    /// Two conditions that are counted beside it, by name.
    pub beside: Vec<(&'static str, String)>,
}

/// Rows that are equal where they must not be.
#[derive(Clone, Debug)]
pub(crate) struct GroupCheck {
    pub about: About,
    /// Of the rows, if not all.
    pub from: String,
    /// In terms of a row that is called `t`.
    pub expressions: Vec<String>,
    /// Only rows for which this is true.
    pub filter: Option<String>,
    pub nulls_are_equal: bool,
    /// Texts that differ, but not when case and blanks are left away.
    pub is_variant: bool,
    /// Equal values are also equal as texts, so that a part of them can be looked at by a hash.
    pub can_be_parted: bool,
    pub belief: Belief,
}

/// Rows that point to nothing.
#[derive(Clone, Debug)]
pub(crate) struct OrphanCheck {
    pub about: About,
    pub link: Link,
    pub belief: Belief,
    pub match_full: bool,
}

/// Columns whose values are those of a key elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub child: Name,
    pub columns: Vec<String>,
    pub parent: Name,
    pub parent_columns: Vec<String>,
    /// The types differ, so that the values are compared as texts.
    pub by_text: bool,
}

/// A total against its items.
#[derive(Clone, Debug)]
pub(crate) struct TotalCheck {
    pub about: About,
    pub link: Link,
    pub total: String,
    /// In terms of `c`, an item; the sum over all items of a parent.
    pub item: String,
    /// In terms of `t`, added to the sum: shipping, taxes. `0` for none.
    pub added: String,
    pub scale: u32,
    pub can_be_parted: bool,
}

/// A query of the user's own, whose rows are what breaks the rule.
#[derive(Clone, Debug)]
pub(crate) struct QueryCheck {
    pub about: About,
    pub query: String,
}

#[derive(Clone, Debug)]
pub(crate) enum Check {
    Row(RowCheck),
    Group(GroupCheck),
    Orphan(OrphanCheck),
    Total(TotalCheck),
    Query(QueryCheck),
}

impl About {
    pub(crate) fn new(code: &'static str, severity: Severity, table: &Name, says: String) -> Self {
        Self {
            code,
            severity,
            table: table.clone(),
            columns: Vec::new(),
            name: None,
            says,
            confidence: Confidence::Certain,
            evidence: Vec::new(),
            depends_on: Vec::new(),
        }
    }

    pub(crate) fn columns<S: AsRef<str>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = columns.into_iter().map(|column| column.as_ref().to_owned()).collect();
        self
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub(crate) fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    pub(crate) fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }
}

impl GroupCheck {
    /// What rows are grouped by.
    pub(crate) fn keys(&self) -> Vec<String> {
        match self.is_variant {
            true => self.expressions.iter().map(|key| format!("lower(btrim({key}::text))")).collect(),
            false => self.expressions.clone(),
        }
    }

    /// Which rows are looked at.
    pub(crate) fn filter(&self) -> String {
        let not_null = match self.nulls_are_equal {
            true => "true".into(),
            false => format!("num_nulls({}) = 0", self.expressions.join(", ")),
        };
        self.filter.as_ref().map_or(not_null.clone(), |filter| format!("{not_null} and ({filter})"))
    }

    /// What is true for a group that breaks it.
    pub(crate) fn many(&self) -> String {
        match self.is_variant {
            true => {
                // As bytes, which are quicker to compare, and tell apart the same values.
                let value = format!("({})::text collate \"C\"", self.expressions.join(", "));
                format!("min({value}) <> max({value})")
            }
            false => "count(*) > 1".into(),
        }
    }
}

impl TotalCheck {
    /// The total, to the digit that it is kept in.
    pub(crate) fn total(&self) -> String {
        format!("round(t.{}::numeric, {})", quote::identifier(&self.total), self.scale)
    }

    /// What it should be, by the sum in that column of `s`.
    pub(crate) fn expected(&self, items: &str) -> String {
        format!("round((coalesce(s.{items}, 0) + {})::numeric, {})", self.added, self.scale)
    }
}

/// `p.x = t.a and ...`, as texts where the types differ.
pub(crate) fn equal(
    left: &str,
    left_columns: &[String],
    right: &str,
    right_columns: &[String],
    by_text: bool,
) -> String {
    let cast = if by_text { "::text" } else { "" };
    let pairs = left_columns.iter().zip(right_columns).map(|(one, other)| {
        format!("{left}.{}{cast} = {right}.{}{cast}", quote::identifier(one), quote::identifier(other))
    });
    pairs.collect::<Vec<_>>().join(" and ")
}

pub(crate) fn columns(alias: &str, names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("{alias}.{}", quote::identifier(name))).collect()
}

pub(crate) fn none_is_null(alias: &str, names: &[String]) -> String {
    format!("num_nulls({}) = 0", columns(alias, names).join(", "))
}

impl Check {
    pub(crate) fn about(&self) -> &About {
        match self {
            Check::Row(check) => &check.about,
            Check::Group(check) => &check.about,
            Check::Orphan(check) => &check.about,
            Check::Total(check) => &check.about,
            Check::Query(check) => &check.about,
        }
    }
}

/// Names in back-ticks, as messages show them.
pub(crate) fn ticked<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
