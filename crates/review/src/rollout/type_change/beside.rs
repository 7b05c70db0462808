//! What a successor column needs before it can take the old one's place: no NULLs, indexes, constraints, and the
//! foreign keys of other tables. All of it is built while reads and writes go on.
//!
//! Not for: the swap itself.

use posthaste_base::catalog::{Constraint, ConstraintKind, Index, Name, Relation};
use posthaste_base::quote::{identifier, identifiers};

use super::super::draft::{Draft, Stage, Undo};
use super::super::template::template;
use super::super::world::{World, default_name, index_definition};
use super::super::{NoRoute, constraint, index, text};
use super::{Subject, incoming, refuse_what_hangs_on_it, uses};

/// What was built, by name: for the successor, and what it will be called.
#[derive(Default)]
pub(super) struct Beside {
    /// The check that proves that the successor holds no NULL.
    pub not_null_check: Option<String>,
    pub indexes: Vec<Pair>,
    pub keys: Vec<Key>,
    /// Checks and foreign keys of the table itself.
    pub own: Vec<Own>,
    /// Foreign keys that lead here.
    pub incoming: Vec<Incoming>,
}

pub(super) struct Pair {
    pub schema: String,
    pub new: String,
    pub wanted: String,
    /// What the old one is called from the swap on.
    pub old: String,
}

/// A unique constraint or a primary key with its index.
pub(super) struct Key {
    pub new: String,
    pub wanted: String,
    pub is_primary: bool,
    /// Unlike that of a unique constraint, the index of a primary key is built again when the swap is taken back.
    pub back: String,
    /// What follows the table's name in the index of the former column.
    pub former_definition: String,
    /// `deferrable` and the like, with its blank.
    pub timing: String,
}

pub(super) struct Own {
    pub new: String,
    pub wanted: String,
    /// What the old one is called from the swap on; none where it went with the swap of the column that it leads to.
    pub old: Option<String>,
}

pub(super) struct Incoming {
    /// The referring table, quoted.
    pub table: String,
    pub wanted: String,
    /// What stands for the successor; none where the referring column has a successor of its own, which brings it.
    pub new: Option<String>,
    /// What stands for that successor's, once the swap is taken back.
    pub beside: String,
    pub back: String,
    /// To the former column.
    pub former_body: String,
    pub is_validated: bool,
}

pub(super) fn build(draft: &mut Draft, world: &World<'_>, subject: &Subject<'_>) -> Result<Beside, NoRoute> {
    let mut beside = Beside::default();
    if subject.column.is_not_null {
        let check = not_null_name(subject, &subject.successor);
        let with = [
            ("table", subject.quoted.as_str()),
            ("constraint", &identifier(&check)),
            ("column", &identifier(&subject.successor)),
        ];
        let title = format!("forbid NULL in {}.{}, for new rows", subject.table.name.name, subject.successor);
        declare(draft, title, &subject.quoted, &check, template!("add_not_null_check").with(&with));
        constraint::validate(draft, &subject.table.name, &check);
        beside.not_null_check = Some(check);
    }
    for old in subject.table.indexes.iter().filter(|index| uses(index, &subject.column.name)) {
        if old.is_partitioned {
            build_on_partitions(draft, world, subject, old, &mut beside)?;
        } else {
            build_index(draft, world, subject, old, &mut beside);
        }
    }
    for old in own_constraints(subject) {
        let own = declare_own(draft, world, subject, old);
        beside.own.push(own);
    }
    for (relation, old) in incoming(world, subject.table, &subject.column.name) {
        let found = declare_incoming(draft, world, subject, relation, old);
        beside.incoming.push(found);
    }
    Ok(beside)
}

/// The name of the check that proves that a column of the table holds no NULL.
pub(super) fn not_null_name(subject: &Subject<'_>, column: &str) -> String {
    default_name(&subject.table.name.name, column, "is_not_null")
}

/// For new rows; the swap may have taken it before it is taken back.
fn declare(draft: &mut Draft, title: String, table: &str, constraint: &str, statement: String) {
    let undo = template!("drop_constraint_if_exists")
        .with(&[("table", table), ("constraint", &identifier(constraint))]);
    draft.transaction(Stage::Validate, title, vec![statement], Undo::By(vec![undo]));
}

fn build_index(
    draft: &mut Draft,
    world: &World<'_>,
    subject: &Subject<'_>,
    old: &Index,
    beside: &mut Beside,
) {
    let new = world.free_name(&format!("{}_new", old.name.name));
    let unique = if old.is_unique { "unique " } else { "" };
    let name = Name::new(&old.name.schema, &new);
    let definition = index_definition(&moved(old, subject, &subject.successor));
    index::build(draft, Stage::Validate, unique, &name, &subject.table.name, &definition);
    let wanted = old.name.name.clone();
    if old.constraint.is_none() {
        let old_name = world.free_name(&format!("{wanted}_old"));
        beside.indexes.push(Pair { schema: old.name.schema.clone(), new, wanted, old: old_name });
        return;
    }
    let served = subject.table.constraints.iter().find(|known| Some(&known.name) == old.constraint.as_ref());
    let definition = served.map_or("", |known| known.definition.as_str());
    beside.keys.push(Key {
        new,
        is_primary: old.is_primary,
        back: world.free_name(&format!("{wanted}_{}", if old.is_primary { "back" } else { "old" })),
        former_definition: index_definition(&moved(old, subject, &subject.former)),
        timing: definition.rsplit_once(')').map_or("", |(_, timing)| timing).to_owned(),
        wanted,
    });
}

/// As an index of a partitioned table is built anywhere, with names that can change places with those that are there.
fn build_on_partitions(
    draft: &mut Draft,
    world: &World<'_>,
    subject: &Subject<'_>,
    old: &Index,
    beside: &mut Beside,
) -> Result<(), NoRoute> {
    let definition = index_definition(&moved(old, subject, &subject.successor));
    let pair = |old: &Index| Pair {
        schema: old.name.schema.clone(),
        new: world.free_name(&format!("{}_new", old.name.name)),
        wanted: old.name.name.clone(),
        old: world.free_name(&format!("{}_old", old.name.name)),
    };
    let mut pairs = vec![pair(old)];
    let top = Name::new(&pairs[0].schema, &pairs[0].new);
    let mut names = |child: &Relation, above: &Name| {
        let above = pairs.iter().find(|pair| pair.new == above.name).map(|pair| &pair.wanted);
        let is_part =
            |index: &&Index| above.is_some() && index.parent.as_ref().map(|parent| &parent.name) == above;
        match child.indexes.iter().find(is_part) {
            Some(part) => {
                let pair = pair(part);
                let name = Name::new(&pair.schema, &pair.new);
                pairs.push(pair);
                name
            }
            None => Name::new(&child.name.schema, world.free_name(&format!("{}_new", child.name.name))),
        }
    };
    let like = index::Like { unique: "", definition: &definition };
    index::on_partitions(draft, world, subject.table, [&top, &top], like, &mut names)?;
    beside.indexes.append(&mut pairs);
    Ok(())
}

/// The index on another column of the table in place of the one whose type changes.
fn moved(old: &Index, subject: &Subject<'_>, column: &str) -> Index {
    let mut new: Index = old.clone();
    for key in new.keys.iter_mut().filter(|key| key.column.as_ref() == Some(&subject.column.name)) {
        key.column = Some(column.to_owned());
        // The operator class and the collation belong to the former type.
        key.opclass.clear();
        key.collation = None;
    }
    for included in new.include.iter_mut().filter(|included| **included == subject.column.name) {
        column.clone_into(included);
    }
    new
}

fn own_constraints<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Constraint> {
    let name = subject.column.name.clone();
    subject.table.constraints.iter().filter(move |constraint| {
        matches!(constraint.kind, ConstraintKind::Check | ConstraintKind::ForeignKey)
            && constraint.columns.contains(&name)
    })
}

fn declare_own(draft: &mut Draft, world: &World<'_>, subject: &Subject<'_>, old: &Constraint) -> Own {
    let new = world.beside(&subject.table.name, &old.name);
    let of_successor = |column: &String| {
        if *column == subject.column.name { subject.successor.clone() } else { column.clone() }
    };
    let mut is_old_gone = false;
    let body = match &old.references {
        Some(to) => {
            let referenced: Vec<String> = to
                .columns
                .iter()
                .map(|column| match world.successor(&to.table, column) {
                    Some(successor) => {
                        is_old_gone = true;
                        successor
                    }
                    None => column.clone(),
                })
                .collect();
            let columns: Vec<String> = old.columns.iter().map(of_successor).collect();
            let end = text::renamed(end_of(&old.definition), &subject.column.name, &subject.successor);
            foreign_key(&columns, &to.table, &referenced, &end)
        }
        None => text::renamed(&old.definition, &subject.column.name, &subject.successor),
    };
    let title = format!("declare {new} on {}, for new rows", subject.table.name.name);
    declare(draft, title, &subject.quoted, &new, add(&subject.quoted, &new, &body));
    if old.is_validated {
        constraint::validate(draft, &subject.table.name, &new);
    }
    let old_name = (!is_old_gone).then(|| world.free_name(&format!("{}_old", old.name)));
    Own { new, wanted: old.name.clone(), old: old_name }
}

fn declare_incoming(
    draft: &mut Draft,
    world: &World<'_>,
    subject: &Subject<'_>,
    relation: &Relation,
    old: &Constraint,
) -> Incoming {
    let table = relation.name.quoted();
    let referenced = |column: &str| -> Vec<String> {
        let of = |known: &String| {
            if *known == subject.column.name { column.to_owned() } else { known.clone() }
        };
        old.references.iter().flat_map(|to| &to.columns).map(of).collect()
    };
    let end = end_of(&old.definition);
    let body = |column: &str| foreign_key(&old.columns, &subject.table.name, &referenced(column), end);
    let mut found = Incoming {
        wanted: old.name.clone(),
        new: None,
        beside: world.beside(&relation.name, &old.name),
        back: world.free_name(&format!("{}_back", old.name)),
        former_body: body(&subject.former),
        is_validated: old.is_validated,
        table,
    };
    if brings_its_own(world, relation, old) {
        return found;
    }
    let new = found.beside.clone();
    let title = format!("declare {new} on {}, for new rows", relation.name.name);
    declare(draft, title, &found.table, &new, add(&found.table, &new, &body(&subject.successor)));
    if old.is_validated {
        constraint::validate(draft, &relation.name, &new);
    }
    found.new = Some(new);
    found
}

/// Whether the referring column gets a successor too, whose foreign key leads to the one here.
fn brings_its_own(world: &World<'_>, relation: &Relation, key: &Constraint) -> bool {
    let is_retyped = |name: &&String| world.retypes(&relation.name, std::slice::from_ref(*name));
    let mut retyped = key.columns.iter().filter(is_retyped).peekable();
    let has_way = |name: &String| {
        let column = relation.columns.iter().find(|column| column.name == *name);
        column.is_some_and(|column| refuse_what_hangs_on_it(world, relation, column).is_ok())
    };
    retyped.peek().is_some() && retyped.all(has_way)
}

/// A constraint for new rows.
pub(super) fn add(table: &str, name: &str, body: &str) -> String {
    let body = body.trim_end_matches(" NOT VALID");
    let action = template!("add_constraint_action").with(&[
        ("constraint", &identifier(name)),
        ("body", body),
        ("not_valid", " not valid"),
    ]);
    template!("alter_table").with(&[("table", table), ("action", &action)])
}

fn foreign_key(columns: &[String], table: &Name, referenced: &[String], end: &str) -> String {
    template!("foreign_key").with(&[
        ("columns", &identifiers(columns)),
        ("table", &table.quoted()),
        ("referenced", &identifiers(referenced)),
        ("end", end.trim_end_matches(" NOT VALID")),
    ])
}

/// What follows the referenced columns in the definition of a foreign key: what its events do, and its timing.
fn end_of(definition: &str) -> &str {
    let mut closed = 0;
    let mut is_quoted = false;
    for (at, c) in definition.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            ')' if !is_quoted => closed += 1,
            _ => {}
        }
        if closed == 2 {
            return &definition[at + 1..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_foreign_key_is_kept() {
        for (definition, end) in [
            ("FOREIGN KEY (a) REFERENCES t(id)", ""),
            (
                "FOREIGN KEY (\"a)\", b) REFERENCES \"t)\"(id, b) ON DELETE SET NULL (b)",
                " ON DELETE SET NULL (b)",
            ),
            (
                "FOREIGN KEY (a) REFERENCES s.t(id) ON DELETE CASCADE NOT VALID",
                " ON DELETE CASCADE NOT VALID",
            ),
        ] {
            assert_eq!(end_of(definition), end);
        }
    }
}
