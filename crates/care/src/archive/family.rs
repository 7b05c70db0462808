//! A table with all that points to it, directly or through others, the last ones first.
//!
//! Not for: what is done with them.

use posthaste_base::catalog::ConstraintKind;
use posthaste_base::{Code, Error};

use crate::integrity::check::{columns, equal};
use crate::integrity::tables::{Table, Tables};

/// A table whose rows go with those of the first one.
pub(super) struct Member<'t, 'a> {
    pub table: &'t Table<'a>,
    /// What its reference does when its row's parent is deleted; empty for the first table itself.
    pub on_delete: String,
    /// From itself up to the first table: columns and the key that they point to.
    path: Vec<Step<'t, 'a>>,
    /// Of the first table.
    own: String,
}

#[derive(Clone)]
struct Step<'t, 'a> {
    columns: Vec<String>,
    parent: &'t Table<'a>,
    parent_columns: Vec<String>,
}

impl Member<'_, '_> {
    /// Which of its rows go, as a condition on `t`; `batch` is the one on the key of the first table, also called `t`.
    pub(super) fn condition(&self, batch: &str) -> String {
        let own = format!("({}) and {batch}", self.own);
        self.path.iter().rev().fold(own, |condition, step| {
            let here = columns("t", &step.columns).join(", ");
            let there = columns("t", &step.parent_columns).join(", ");
            format!("({here}) in (select {there} from {} as t where {condition})", step.parent.from())
        })
    }
}

/// All members, each before what it points to; the table itself is the last.
pub(super) fn family<'t, 'a>(
    tables: &'t Tables<'a>,
    table: &'t Table<'a>,
    condition: &str,
) -> Result<Vec<Member<'t, 'a>>, Error> {
    let mut members = Vec::new();
    let mut trail = vec![table];
    collect(tables, &mut trail, &[], condition, &mut members)?;
    members.push(Member { table, on_delete: String::new(), path: Vec::new(), own: condition.to_owned() });
    Ok(members)
}

fn collect<'t, 'a>(
    tables: &'t Tables<'a>,
    trail: &mut Vec<&'t Table<'a>>,
    path: &[Step<'t, 'a>],
    condition: &str,
    members: &mut Vec<Member<'t, 'a>>,
) -> Result<(), Error> {
    let Some(parent) = trail.last().copied() else { return Ok(()) };
    for child in &tables.all {
        for key in child.constraints(ConstraintKind::ForeignKey) {
            let Some(reference) =
                key.references.as_ref().filter(|reference| reference.table == *parent.name())
            else {
                continue;
            };
            if trail.iter().any(|table| table.name() == child.name()) {
                let message = format!(
                    "{} points to itself by `{}`, directly or through others",
                    child.name().quoted(),
                    key.name
                );
                return Err(
                    Error::new(Code::GateClosed, message).hint("such rows cannot be moved in batches")
                );
            }
            let step =
                Step { columns: key.columns.clone(), parent, parent_columns: reference.columns.clone() };
            let path: Vec<Step<'t, 'a>> = std::iter::once(step).chain(path.iter().cloned()).collect();
            trail.push(child);
            collect(tables, trail, &path, condition, members)?;
            trail.pop();
            let on_delete = reference.on_delete.clone();
            members.push(Member { table: child, on_delete, path, own: condition.to_owned() });
        }
    }
    Ok(())
}

/// That nothing points to a row, as a further condition on it.
pub(super) fn childless(members: &[Member<'_, '_>]) -> String {
    let direct = members.iter().filter(|member| member.path.len() == 1);
    direct
        .map(|member| {
            let step = &member.path[0];
            let matched = equal("x", &step.columns, "t", &step.parent_columns, false);
            format!(" and not exists (select from {} as x where {matched})", member.table.from())
        })
        .collect()
}
