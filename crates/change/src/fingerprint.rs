//! The tables of a plan as they were when it was made, in a few words, so that drift is seen and named.
//!
//! Each column, constraint, index and trigger that a plan relies on has a digest, by its name. Sizes, counters and
//! oids are not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use posthaste_base::catalog::{Catalog, Name, Relation};
use posthaste_report::{Action, Locked, Plan};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of each table that the plan locks or goes through. A table that is not there has none.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Tables(BTreeMap<String, Option<Parts>>);

/// By kind and name, as `column id`: a digest of what it is.
type Parts = BTreeMap<String, String>;

/// What is left when no part differs by itself.
const ORDER: &str = "the order of its columns";

/// Of the tables that the plan locks or goes through, as this catalog has them: one JSON object.
pub fn of_plan(catalog: &Catalog, plan: &Plan) -> String {
    let parts = |name: &Name| catalog.relation(Some(&name.schema), &name.name).map(parts);
    let tables = tables(plan).into_iter().map(|name| (name.quoted(), parts(&name)));
    serde_json::to_string(&Tables(tables.collect())).unwrap_or_default()
}

/// The same in the form of that one, to be compared with it: older plans have one digest a table.
pub fn like(then: &str, catalog: &Catalog, plan: &Plan) -> String {
    if then.starts_with('{') {
        return of_plan(catalog, plan);
    }
    let parts = tables(plan).into_iter().map(|name| {
        let relation = catalog.relation(Some(&name.schema), &name.name);
        format!("{}={}", name.quoted(), relation.map(whole).unwrap_or_default())
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// What differs, for a message: by table, and as far as the plan knows by column, constraint, index and trigger.
pub fn changed(then: &str, now: &str) -> Vec<String> {
    let read = |text: &str| serde_json::from_str::<Tables>(text).map(|tables| tables.0);
    let (Ok(then), Ok(now)) = (read(then), read(now)) else { return changed_tables(then, now) };
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        match (then.get(name).and_then(Option::as_ref), now.get(name).and_then(Option::as_ref)) {
            (None, Some(_)) => changes.push(format!("{name} is there, and was not")),
            (Some(_), None) => changes.push(format!("{name} is gone")),
            (Some(then), Some(now)) if then != now => {
                changes.push(format!("{name} ({})", changed_parts(then, now).join(", ")));
            }
            _ => {}
        }
    }
    changes
}

fn changed_parts(then: &Parts, now: &Parts) -> Vec<String> {
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).filter(|name| *name != ORDER).collect();
    let said = names.into_iter().filter_map(|name| match (then.get(name), now.get(name)) {
        (None, _) => Some(format!("{name} was added")),
        (_, None) => Some(format!("{name} was removed")),
        (then, now) => (then != now).then(|| format!("{name} was changed")),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { vec![format!("{ORDER} was changed")] } else { said }
}

/// Of plans with one digest a table.
fn changed_tables(then: &str, now: &str) -> Vec<String> {
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

fn parts(relation: &Relation) -> Parts {
    let columns: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
    let described = columns_of(relation).chain(others_of(relation));
    let mut parts: Parts = described.map(|(name, text)| (name, digest(&text))).collect();
    parts.insert("its kind or its parents".to_owned(), digest(&kind_of(relation)));
    parts.insert(ORDER.to_owned(), digest(&format!("{columns:?}")));
    parts
}

/// One digest of all.
fn whole(relation: &Relation) -> String {
    let mut text = kind_of(relation);
    let others: BTreeSet<String> = others_of(relation).map(|(_, text)| text).collect();
    for line in columns_of(relation).map(|(_, text)| text).chain(others) {
        let _ = write!(text, "\n{line}");
    }
    digest(&text)
}

fn kind_of(relation: &Relation) -> String {
    format!("{:?} {:?}", relation.kind, relation.parents)
}

/// Names of the parts, and what they are.
fn columns_of(relation: &Relation) -> impl Iterator<Item = (String, String)> {
    relation.columns.iter().map(|column| {
        let name = format!("column {}", column.name);
        let (default, generated, identity) = (&column.default, &column.generated, &column.identity);
        let text = format!(
            "{name} {} {} {default:?} {generated:?} {identity:?}",
            column.type_name, column.is_not_null
        );
        (name, text)
    })
}

fn others_of(relation: &Relation) -> impl Iterator<Item = (String, String)> {
    let constraints = relation.constraints.iter().map(|constraint| {
        let name = format!("constraint {}", constraint.name);
        let text = format!("{name} {} {}", constraint.definition, constraint.is_validated);
        (name, text)
    });
    let indexes = relation.indexes.iter().map(|index| {
        let name = format!("index {}", index.name.name);
        let (keys, include) = (&index.keys, &index.include);
        let text = format!("{name} {keys:?} {include:?} {:?} {}", index.predicate, index.is_valid);
        (name, text)
    });
    let triggers = relation.triggers.iter().filter(|trigger| !trigger.is_internal).map(|trigger| {
        let name = format!("trigger {}", trigger.name);
        let text = format!("{name} {} {}", trigger.function.quoted(), trigger.enabled);
        (name, text)
    });
    constraints.chain(indexes).chain(triggers)
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(then: &str, now: &str, expected: &[&str]) {
        assert_eq!(changed(then, now), expected, "{then} {now}");
        assert!(changed(then, then).is_empty(), "{then}");
    }

    #[test]
    fn what_changed_is_named() {
        let then =
            r#"{"public.a":{"column a":"1","column b":"1","index i":"1"},"public.b":{},"public.c":null}"#;
        let now =
            r#"{"public.a":{"column a":"1","column b":"2","trigger t":"1"},"public.b":null,"public.c":{}}"#;
        check(
            then,
            now,
            &[
                "public.a (column b was changed, index i was removed, trigger t was added)",
                "public.b is gone",
                "public.c is there, and was not",
            ],
        );
        let order = |digest: &str| format!(r#"{{"a":{{"column a":"1","{ORDER}":"{digest}"}}}}"#);
        check(&order("1"), &order("2"), &["a (the order of its columns was changed)"]);
    }

    #[test]
    fn plans_with_one_digest_a_table_are_still_compared() {
        check(
            "public.a=1 public.b=2 public.c=",
            "public.a=1 public.b=3 public.c=4",
            &["public.b", "public.c"],
        );
        assert_eq!(
            like("public.a=1", &Catalog::default(), &Plan::from_toml(PLAN).expect("a plan")),
            "public.a="
        );
    }

    const PLAN: &str = "version = 1\ntitle = \"a\"\nkind = \"rollout\"\ndatabase = \"\"\n\n[[phases]]\nname = \"a\"\n\n\
        [[phases.steps]]\nid = \"a\"\ntitle = \"a\"\naction = \"check\"\nsql = \"true\"\n\n\
        [[phases.steps.locks]]\nschema = \"public\"\ntable = \"a\"\nmode = \"SHARE\"\n";
}
