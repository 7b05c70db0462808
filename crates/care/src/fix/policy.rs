//! What is to be done with each kind of fault: the user's choice, for all tables or for one.

use posthaste_base::catalog::{Catalog, Name, RelationKind};
use posthaste_base::{Code, Error};

/// How many tables an error lists.
const KNOWN_MAX: usize = 12;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Orphans {
    #[default]
    Show,
    Quarantine,
    Delete,
    SetNull,
    /// To the row with that key.
    Reparent(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    #[default]
    Show,
    /// The row with the lowest key stays, what pointed to the others points to it, and they go.
    Merge,
    /// The row with the lowest key keeps its value, the others get one of their own.
    Rename,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Negatives {
    #[default]
    Show,
    /// To nothing.
    Clamp,
    Quarantine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Totals {
    #[default]
    Show,
    Recompute,
}

/// The choices, the later ones over the earlier.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    orphans: Vec<(Option<Name>, Orphans)>,
    duplicates: Vec<(Option<Name>, Duplicates)>,
    negatives: Vec<(Option<Name>, Negatives)>,
    totals: Vec<(Option<Name>, Totals)>,
    /// Whether constraints are added that keep it so.
    pub adds_constraints: bool,
}

impl Policies {
    /// Each as `orphans=delete`, or `orphans@sales.order_items=quarantine` for one table.
    pub fn parse<S: AsRef<str>>(choices: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let mut policies = Self::default();
        for choice in choices {
            policies.add(choice.as_ref())?;
        }
        Ok(policies)
    }

    /// A choice for a table that is not there would be one for nothing: its name is misspelt.
    pub fn check_tables(&self, catalog: &Catalog) -> Result<(), Error> {
        let named = named(&self.orphans)
            .chain(named(&self.duplicates))
            .chain(named(&self.negatives))
            .chain(named(&self.totals));
        for name in named {
            if catalog.relations.iter().any(|relation| relation.name == *name) {
                continue;
            }
            let tables = catalog.relations.iter().filter(|relation| {
                relation.name.schema == name.schema
                    && matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
            });
            let known: Vec<&str> = tables.map(|table| table.name.name.as_str()).take(KNOWN_MAX).collect();
            let expected = match known.is_empty() {
                true => "KIND@SCHEMA.TABLE=POLICY, with a schema that has tables".to_owned(),
                false => format!("a table of that schema, such as {}", known.join(", ")),
            };
            let message = format!("there is no table `{}.{}`", name.schema, name.name);
            return Err(Error::new(Code::NotFound, message).field("--policy").expected(expected));
        }
        Ok(())
    }

    fn add(&mut self, choice: &str) -> Result<(), Error> {
        let wrong = |expected: &str| {
            Error::new(Code::InvalidParameter, format!("`{choice}` is not a policy"))
                .field("--policy")
                .expected(expected.to_owned())
        };
        let form = "KIND=POLICY or KIND@SCHEMA.TABLE=POLICY, such as `orphans=quarantine`";
        let (kind, policy) = choice.split_once('=').ok_or_else(|| wrong(form))?;
        let (kind, table) = match kind.split_once('@') {
            Some((kind, table)) => {
                let (schema, table) = table.split_once('.').ok_or_else(|| wrong(form))?;
                (kind, Some(Name::new(schema, table)))
            }
            None => (kind, None),
        };
        match kind {
            "orphans" => {
                let policy = match policy
                    .split_once(':')
                    .map_or((policy, None), |(word, key)| (word, Some(key)))
                {
                    ("show", None) => Orphans::Show,
                    ("quarantine", None) => Orphans::Quarantine,
                    ("delete", None) => Orphans::Delete,
                    ("set-null", None) => Orphans::SetNull,
                    ("re-parent", Some(key)) if !key.is_empty() => Orphans::Reparent(key.into()),
                    _ => return Err(wrong("orphans: show, quarantine, delete, set-null or re-parent:KEY")),
                };
                self.orphans.push((table, policy));
            }
            "duplicates" => {
                let policy = match policy {
                    "show" => Duplicates::Show,
                    "merge" => Duplicates::Merge,
                    "rename" => Duplicates::Rename,
                    _ => return Err(wrong("duplicates: show, merge or rename")),
                };
                self.duplicates.push((table, policy));
            }
            "negatives" => {
                let policy = match policy {
                    "show" => Negatives::Show,
                    "clamp" => Negatives::Clamp,
                    "quarantine" => Negatives::Quarantine,
                    _ => return Err(wrong("negatives: show, clamp or quarantine")),
                };
                self.negatives.push((table, policy));
            }
            "totals" => {
                let policy = match policy {
                    "show" => Totals::Show,
                    "recompute" => Totals::Recompute,
                    _ => return Err(wrong("totals: show or recompute")),
                };
                self.totals.push((table, policy));
            }
            "constraints" => {
                self.adds_constraints = match policy {
                    "add" => true,
                    "keep" => false,
                    _ => return Err(wrong("constraints: keep or add")),
                };
            }
            _ => return Err(wrong("one of orphans, duplicates, negatives, totals and constraints")),
        }
        Ok(())
    }

    pub(super) fn orphans(&self, table: &Name) -> Orphans {
        chosen(&self.orphans, table)
    }

    pub(super) fn duplicates(&self, table: &Name) -> Duplicates {
        chosen(&self.duplicates, table)
    }

    pub(super) fn negatives(&self, table: &Name) -> Negatives {
        chosen(&self.negatives, table)
    }

    pub(super) fn totals(&self, table: &Name) -> Totals {
        chosen(&self.totals, table)
    }
}

/// What was said of the table itself goes before what was said of all.
fn chosen<T: Clone + Default>(said: &[(Option<Name>, T)], table: &Name) -> T {
    let own = said.iter().rev().find(|(of, _)| of.as_ref() == Some(table));
    let of_all = || said.iter().rev().find(|(of, _)| of.is_none());
    own.or_else(of_all).map(|(_, policy)| policy.clone()).unwrap_or_default()
}

fn named<T>(said: &[(Option<Name>, T)]) -> impl Iterator<Item = &Name> {
    said.iter().filter_map(|(table, _)| table.as_ref())
}

#[cfg(test)]
mod tests {
    use posthaste_base::catalog::Relation;

    use super::*;

    #[test]
    fn a_table_s_own_policy_goes_before_that_of_all() {
        let policies = Policies::parse(["orphans@a.b=delete", "orphans=quarantine"]).expect("policies");
        assert_eq!(policies.orphans(&Name::new("a", "b")), Orphans::Delete);
        assert_eq!(policies.orphans(&Name::new("a", "c")), Orphans::Quarantine);
        assert_eq!(policies.totals(&Name::new("a", "c")), Totals::Show);
    }

    #[test]
    fn a_table_that_is_not_there_is_refused() {
        let relation = Relation { name: Name::new("shop", "items"), ..Relation::default() };
        let catalog = Catalog { relations: vec![relation], ..Catalog::default() };
        let check = |choice: &str| Policies::parse([choice]).expect("policies").check_tables(&catalog);
        for choice in ["orphans=delete", "orphans@shop.items=delete", "totals@shop.items=recompute"] {
            assert!(check(choice).is_ok(), "{choice}");
        }
        for choice in ["orphans@shop.itms=delete", "duplicates@shop.itms=merge", "totals@shop.itms=recompute"]
        {
            let error = check(choice).expect_err(choice);
            assert_eq!((error.code(), error.field_name()), (Code::NotFound, Some("--policy")));
            assert!(error.message().contains("`shop.itms`"), "{error}");
            assert_eq!(error.expectation(), Some("a table of that schema, such as items"));
        }
    }

    #[test]
    fn what_is_no_policy_is_refused_with_what_would_be_one() {
        for (choice, expected) in [
            ("orphans", "KIND=POLICY"),
            ("orphans=kill", "set-null"),
            ("orphans=re-parent", "re-parent:KEY"),
            ("orphans@b=delete", "KIND@SCHEMA.TABLE"),
            ("sums=x", "one of orphans"),
        ] {
            let error = Policies::parse([choice]).expect_err(choice);
            assert!(error.expectation().is_some_and(|text| text.contains(expected)), "{error:?}");
        }
    }
}
