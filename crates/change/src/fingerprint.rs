//! The tables of a plan as they were when it was made, in a few words, so that drift is seen and named.
//!
//! Each table has a digest of what a plan relies on: columns, constraints, indexes, triggers. Sizes, counters and
//! oids are not in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use posthaste_base::catalog::{Catalog, Name, Relation};
use posthaste_report::{Action, Locked, Plan};
use sha2::{Digest, Sha256};

/// Of the tables that the plan locks or goes through, as this catalog has them: `schema.table=digest`, with blanks
/// between. A table that is not there has no digest.
pub fn of_plan(catalog: &Catalog, plan: &Plan) -> String {
    let parts = tables(plan).into_iter().map(|name| {
        let relation = catalog.relation(Some(&name.schema), &name.name);
        format!("{}={}", name.quoted(), relation.map(digest).unwrap_or_default())
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// The tables whose digests differ, for a message.
pub fn changed(then: &str, now: &str) -> Vec<String> {
    let parts = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let (then, now) = (parts(then), parts(now));
    let names =
        then.symmetric_difference(&now).filter_map(|part| part.rsplit_once('=').map(|(name, _)| name));
    names.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

fn tables(plan: &Plan) -> BTreeSet<Name> {
    let mut tables = BTreeSet::new();
    for step in plan.steps() {
        for lock in &step.locks {
            if let Locked::Table(name) = &lock.on {
                tables.insert(Name::new(&lock.schema, name));
            }
        }
        if let Action::Batches(batches) = &step.action {
            tables.insert(Name::new(&batches.schema, &batches.table));
        }
    }
    tables
}

fn digest(relation: &Relation) -> String {
    let mut text = format!("{:?} {:?}", relation.kind, relation.parents);
    for column in &relation.columns {
        let _ = write!(
            text,
            "\ncolumn {} {} {} {:?} {:?} {:?}",
            column.name,
            column.type_name,
            column.is_not_null,
            column.default,
            column.generated,
            column.identity
        );
    }
    let constraints = relation.constraints.iter().map(|constraint| {
        format!("constraint {} {} {}", constraint.name, constraint.definition, constraint.is_validated)
    });
    let indexes = relation.indexes.iter().map(|index| {
        let (keys, include) = (&index.keys, &index.include);
        format!("index {} {keys:?} {include:?} {:?} {}", index.name.name, index.predicate, index.is_valid)
    });
    let triggers =
        relation.triggers.iter().filter(|trigger| !trigger.is_internal).map(|trigger| {
            format!("trigger {} {} {}", trigger.name, trigger.function.quoted(), trigger.enabled)
        });
    let others: BTreeSet<String> = constraints.chain(indexes).chain(triggers).collect();
    for other in others {
        let _ = write!(text, "\n{other}");
    }
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let then = "public.a=1 public.b=2 public.c=";
        assert_eq!(changed(then, "public.a=1 public.b=3 public.c=4"), ["public.b", "public.c"]);
        assert!(changed(then, then).is_empty());
    }
}
