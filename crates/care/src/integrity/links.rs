//! Relations that nobody declared, from names and types: columns that look as if they pointed to a key.
//!
//! A name alone proves nothing; each one is believed only after its values were looked up (see `contained`).

use super::check::Link;
use super::tables::{Col, Table, Tables};
use super::types::Family;
use super::words::{ends_with, is_any};
use posthaste_base::catalog::ConstraintKind;

/// A relation that names suggest.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub link: Link,
    /// How much the names say: 100 when they say it all.
    pub score: u8,
}

const ID: &[&str] = &["id", "uuid", "guid", "key", "fk", "ref", "pk", "no", "nr", "number", "num", "code"];
/// A row of the same table.
const KIN: &[&str] =
    &["parent", "manager", "supervisor", "boss", "root", "ancestor", "reply to", "previous", "original"];
const PEOPLE: &[&str] = &["user", "account", "employee", "staff", "person", "member", "admin"];

impl Candidate {
    /// The share of values that must be found for it to be believed: the less the names say, the more.
    pub(super) fn share_min(&self) -> f64 {
        match self.score {
            90.. => 0.5,
            75.. => 0.8,
            _ => 0.95,
        }
    }

    /// How many different values must have been looked up: a few small numbers are found in any key.
    pub(super) fn values_min(&self) -> i64 {
        if self.score >= 90 { 1 } else { 8 }
    }
}

/// The candidates of each column or set of columns, best first. Declared references are none.
pub(super) fn candidates(tables: &Tables<'_>) -> Vec<Vec<Candidate>> {
    let mut all = Vec::new();
    for child in &tables.all {
        for parent in &tables.all {
            all.extend(composite(child, parent).into_iter().map(|candidate| vec![candidate]));
        }
        for col in &child.columns {
            let mut found: Vec<Candidate> =
                tables.all.iter().filter_map(|parent| single(child, col, parent)).collect();
            // Of two that say as much, the one in the same schema.
            found.sort_by_key(|c| (std::cmp::Reverse(c.score), c.link.parent.schema != child.name().schema));
            found.truncate(3);
            if !found.is_empty() {
                all.push(found);
            }
        }
    }
    all
}

fn single(child: &Table<'_>, col: &Col<'_>, parent: &Table<'_>) -> Option<Candidate> {
    let name = &col.column.name;
    if !col.family.is_key() || is_declared(child, std::slice::from_ref(name)) {
        return None;
    }
    let is_itself = child.name() == parent.name();
    let best = keys(parent)
        .into_iter()
        .filter(|key| !(is_itself && key.column.name == *name))
        .filter_map(|key| Some((score(child, col, parent, key)?, key)))
        .filter(|(_, key)| {
            col.family.compares_with(key.family) || is_key_of_other_type(col.family, key.family)
        })
        .max_by_key(|(score, _)| *score);
    let (score, key) = best?;
    Some(Candidate {
        score,
        link: Link {
            child: child.name().clone(),
            columns: vec![name.clone()],
            parent: parent.name().clone(),
            parent_columns: vec![key.column.name.clone()],
            by_text: !col.family.compares_with(key.family),
        },
    })
}

/// A key that is kept as a text, or a number where the other side has texts.
fn is_key_of_other_type(one: Family, other: Family) -> bool {
    one != other && (one == Family::Text || other == Family::Text)
}

/// The columns of a table that are a key alone, declared or by their name.
fn keys<'t, 'a>(parent: &'t Table<'a>) -> Vec<&'t Col<'a>> {
    let sets = parent.unique_sets();
    let mut keys: Vec<&Col<'a>> =
        sets.iter().filter(|set| set.len() == 1).filter_map(|set| parent.column(&set[0])).collect();
    if parent.primary_key().is_none() {
        keys.extend(parent.plain_id());
    }
    keys.retain(|key| key.family.is_key());
    keys
}

fn score(child: &Table<'_>, col: &Col<'_>, parent: &Table<'_>, key: &Col<'_>) -> Option<u8> {
    let (words, stem, key_words) = (&col.words, &parent.stem, &key.words);
    let is_plain_key = key_words.len() == 1;
    let is_itself = child.name() == parent.name();
    let joined = |words: &[String]| words.concat();
    // `customer_id` where the key is `customers.id`, and also where that is called `customer_id`.
    let full: Vec<String> =
        if is_plain_key { [stem.clone(), key_words.clone()].concat() } else { key_words.clone() };
    let is_id = words.last().is_some_and(|last| ID.contains(&last.as_str()));
    if joined(words) == joined(&full) && words.len() + key_words.len() > 2 {
        // A column of the same name in the parent's sibling is its own key more often than a reference.
        return (!is_itself).then_some(100);
    }
    // Written in one word: `customerid`.
    if words.len() == 1 && is_plain_key && words[0] == joined(&full) && words[0].len() > 4 {
        return (!is_itself).then_some(100);
    }
    if !is_id {
        let is_name_of_parent = words == stem && is_plain_key;
        let is_by_someone = words.last().is_some_and(|last| last == "by") && is_any(stem, PEOPLE);
        return (!is_itself && (is_name_of_parent || is_by_someone) && is_main_key(parent, key))
            .then_some(70);
    }
    if !is_main_key(parent, key) {
        return None;
    }
    let said = &words[..words.len() - 1];
    if is_itself {
        return is_any(said, KIN).then_some(90);
    }
    if said.is_empty() {
        return None;
    }
    if said == stem.as_slice() {
        return Some(95);
    }
    if ends_with(said, stem).is_some() {
        return Some(80);
    }
    (ends_with(stem, said).is_some()).then_some(60)
}

fn is_main_key(parent: &Table<'_>, key: &Col<'_>) -> bool {
    match parent.primary_key() {
        Some(primary) => primary == [key.column.name.clone()],
        None => true,
    }
}

fn is_declared(child: &Table<'_>, columns: &[String]) -> bool {
    child.constraints(ConstraintKind::ForeignKey).any(|key| key.columns == columns)
}

/// All columns of a key of several have one here that is called the same, or as in `order_region`.
fn composite(child: &Table<'_>, parent: &Table<'_>) -> Option<Candidate> {
    if child.name() == parent.name() {
        return None;
    }
    let key = parent.primary_key().filter(|key| key.len() > 1)?;
    let mut names_parent = false;
    let mut columns = Vec::new();
    for part in key {
        let part = parent.column(part)?;
        let with_stem = [parent.stem.clone(), part.words.clone()].concat();
        let last_of_stem = [&parent.stem[parent.stem.len().saturating_sub(1)..], &part.words].concat();
        let named = child.columns.iter().find(|col| col.words == with_stem || col.words == last_of_stem);
        names_parent |= named.is_some();
        let col = named.or_else(|| child.columns.iter().find(|col| col.words == part.words))?;
        if !col.family.compares_with(part.family) {
            return None;
        }
        columns.push(col.column.name.clone());
    }
    // Its own key by the same names is a sibling's, unless the child is called after the parent.
    let is_own_key = child.primary_key().is_some_and(|own| own == columns.as_slice());
    let is_called_after = child.stem.starts_with(&parent.stem);
    let is_time_alone = key.iter().all(|part| parent.column(part).is_some_and(|col| col.family.is_time()));
    if is_declared(child, &columns) || is_time_alone || is_own_key && !is_called_after {
        return None;
    }
    Some(Candidate {
        score: if names_parent || is_called_after { 95 } else { 80 },
        link: Link {
            child: child.name().clone(),
            columns,
            parent: parent.name().clone(),
            parent_columns: key.to_vec(),
            by_text: false,
        },
    })
}

#[cfg(test)]
mod tests;
