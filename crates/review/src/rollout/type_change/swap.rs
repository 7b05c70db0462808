//! One transaction in which the successor takes the old column's place, and the one that takes this back.
//!
//! After the swap a trigger keeps the former column in step, so that going back loses nothing. What must be built
//! before going back (the primary key's index, foreign keys to the former column) is the undo of checks that follow
//! the swap, for those run first on the way back. Not for: what was built before the swap (see `beside`).

use posthaste_base::catalog::{ConstraintKind, Name, Sequence};
use posthaste_base::quote::{identifier, literal};
use posthaste_report::Action;

use super::super::draft::{Draft, Stage, Undo};
use super::super::remade::Around;
use super::super::template::{Template, template};
use super::super::world::{World, default_name};
use super::super::{constraint, index};
use super::beside::{Beside, Incoming, Key, add, not_null_name};
use super::{Subject, Sync};
use crate::simulate;

pub(super) fn swap(
    draft: &mut Draft,
    world: &World<'_>,
    subject: &Subject<'_>,
    beside: &Beside,
    views: Option<Around>,
) {
    let undo = match &subject.backward {
        Some(sync) if views.is_none() => Undo::By(backward(world, subject, beside, sync)),
        _ => Undo::Impossible,
    };
    let mut statements = forward(world, subject, beside);
    if let Some(views) = views {
        statements = [views.before, statements, views.after].concat();
    }
    let title =
        format!("put the successor in the place of {}.{}", subject.table.name.name, subject.column.name);
    draft.transaction(Stage::Switch, title, statements, undo);
    if let Some(sync) = &subject.backward {
        prepare_way_back(draft, subject, beside, sync);
    }
}

/// Statements on the table, and on those that refer to it.
fn forward(world: &World<'_>, subject: &Subject<'_>, beside: &Beside) -> Vec<String> {
    let (column, successor, former) = (&subject.column.name, &subject.successor, &subject.former);
    let mut all: Vec<String> = subject.forward.drops(&subject.quoted).into();
    if let Some(check) = &beside.not_null_check {
        all.extend(forbid_null(subject, successor, check));
    }
    all.extend(beside.incoming.iter().map(|key| drop_named(&key.table, &key.wanted)));
    for key in &beside.keys {
        all.push(if key.is_primary {
            constraint::drop_constraint(&subject.quoted, &key.wanted)
        } else {
            rename_constraint(&subject.quoted, &key.wanted, &key.back)
        });
    }
    all.extend(move_numbers(world, subject, [column, successor], "new"));
    if beside.not_null_check.is_some() {
        // Until the last step the former column may hold no value for what its type cannot hold.
        all.push(of_column(subject, column, template!("drop_not_null")));
    }
    all.push(rename_column(subject, column, former));
    all.push(rename_column(subject, successor, column));
    all.extend(name_not_null(world, subject, successor));
    for own in &beside.own {
        if let Some(old) = &own.old {
            all.push(rename_constraint(&subject.quoted, &own.wanted, old));
        }
        all.push(rename_constraint(&subject.quoted, &own.new, &own.wanted));
    }
    for pair in &beside.indexes {
        all.push(rename_index(&pair.schema, &pair.wanted, &pair.old));
        all.push(rename_index(&pair.schema, &pair.new, &pair.wanted));
    }
    all.extend(beside.keys.iter().map(|key| take_over(subject, key, &key.new)));
    for key in &beside.incoming {
        if let Some(new) = &key.new {
            all.push(rename_constraint(&key.table, new, &key.wanted));
        }
    }
    if let Some(sync) = &subject.backward {
        all.extend(follow(subject, sync));
    }
    all
}

/// The swap taken back. What was built for the successor goes afterwards, by the undo of the steps that built it.
fn backward(world: &World<'_>, subject: &Subject<'_>, beside: &Beside, sync: &Sync) -> Vec<String> {
    let (column, successor, former) = (&subject.column.name, &subject.successor, &subject.former);
    let mut all: Vec<String> = sync.drops(&subject.quoted).into();
    if beside.not_null_check.is_some() {
        all.extend(forbid_null(subject, former, &not_null_name(subject, former)));
    }
    for key in &beside.incoming {
        all.push(drop_named(&key.table, &key.wanted));
        if key.new.is_none() {
            // That of a successor, which leads to the key that goes now.
            all.push(drop_named(&key.table, &key.beside));
        }
    }
    all.extend(beside.keys.iter().map(|key| constraint::drop_constraint(&subject.quoted, &key.wanted)));
    all.extend(move_numbers(world, subject, [column, former], "back"));
    if beside.not_null_check.is_some() {
        // Nothing fills it any more.
        all.push(of_column(subject, column, template!("drop_not_null")));
    }
    all.push(rename_column(subject, column, successor));
    all.push(rename_column(subject, former, column));
    all.extend(name_not_null(world, subject, former));
    for own in &beside.own {
        all.push(rename_constraint(&subject.quoted, &own.wanted, &own.new));
        if let Some(old) = &own.old {
            all.push(rename_constraint(&subject.quoted, old, &own.wanted));
        }
    }
    for pair in &beside.indexes {
        all.push(rename_index(&pair.schema, &pair.wanted, &pair.new));
        all.push(rename_index(&pair.schema, &pair.old, &pair.wanted));
    }
    for key in &beside.keys {
        all.push(if key.is_primary {
            take_over(subject, key, &key.back)
        } else {
            rename_constraint(&subject.quoted, &key.back, &key.wanted)
        });
    }
    for key in &beside.incoming {
        all.push(rename_constraint(&key.table, &key.back, &key.wanted));
    }
    all
}

/// Two checks after the swap, whose undo makes ready for the way back: the later one's declares, the earlier one's
/// looks at the rows, in a transaction of its own.
fn prepare_way_back(draft: &mut Draft, subject: &Subject<'_>, beside: &Beside, sync: &Sync) {
    let (mut declares, mut builds, mut keys, mut validates) = (vec![], vec![], vec![], vec![]);
    if beside.not_null_check.is_some() {
        let check = not_null_name(subject, &subject.former);
        let with = [
            ("table", subject.quoted.as_str()),
            ("constraint", &identifier(&check)),
            ("column", &identifier(&subject.former)),
        ];
        declares.push(template!("add_not_null_check").with(&with));
        validates.push(validate(&subject.quoted, &check));
    }
    for key in beside.keys.iter().filter(|key| key.is_primary) {
        let name = Name::new(&subject.table.name.schema, &key.back);
        builds.push(index::drop_index(&name));
        builds.push(template!("create_index").with(&[
            ("unique", "unique "),
            ("index", &identifier(&key.back)),
            ("table", &subject.quoted),
            ("definition", &key.former_definition),
        ]));
    }
    for Incoming { table, back, former_body, is_validated, .. } in &beside.incoming {
        keys.push(add(table, back, former_body));
        if *is_validated {
            validates.push(validate(table, back));
        }
    }
    if validates.is_empty() && builds.is_empty() && keys.is_empty() {
        return;
    }
    let table = literal(&subject.quoted);
    let with =
        [("table", table.as_str()), ("trigger", &literal(&sync.name)), ("column", &literal(&subject.former))];
    let title = format!("{} is kept in step", subject.former);
    let action = Action::Check { sql: template!("has_trigger").with(&with) };
    let undo = if validates.is_empty() { Undo::WithAnother } else { Undo::By(validates) };
    draft.add(Stage::Switch, title, action, undo);
    let title = format!("{} is there for the way back", subject.former);
    let action = Action::Check { sql: template!("has_column").with(&with) };
    draft.add(Stage::Switch, title, action, Undo::By([declares, builds, keys].concat()));
}

fn validate(table: &str, constraint: &str) -> String {
    template!("validate_constraint").with(&[("table", table), ("constraint", &identifier(constraint))])
}

/// NOT NULL, proven by its check, which goes then.
fn forbid_null(subject: &Subject<'_>, column: &str, check: &str) -> Vec<String> {
    let set = of_column(subject, column, template!("set_not_null"));
    vec![set, constraint::drop_constraint(&subject.quoted, check)]
}

/// From 18 on a NOT NULL has a name, which is the old column's for what takes its place.
fn name_not_null(world: &World<'_>, subject: &Subject<'_>, made_on: &str) -> Option<String> {
    let is_it = |known: &&posthaste_base::catalog::Constraint| {
        known.kind == ConstraintKind::NotNull && known.columns == [subject.column.name.clone()]
    };
    let wanted = subject.table.constraints.iter().find(is_it).filter(|_| world.version >= 18)?;
    // The server takes the first name that no constraint of the schema has; the one that goes still has its own.
    let is_used = |name: &str| {
        let mut tables =
            world.catalog.relations.iter().filter(|known| known.name.schema == subject.table.name.schema);
        tables.any(|table| table.constraints.iter().any(|constraint| constraint.name == name))
    };
    let label = |number: u32| if number == 0 { "not_null".to_owned() } else { format!("not_null{number}") };
    let mut names = (0..).map(|number| default_name(&subject.table.name.name, made_on, &label(number)));
    let made = names.find(|name| !is_used(name))?;
    Some(rename_constraint(&subject.quoted, &made, &wanted.name))
}

/// The default, the sequence of a serial, or the identity goes from the first column to the second.
fn move_numbers(
    world: &World<'_>,
    subject: &Subject<'_>,
    [from, to]: [&String; 2],
    end: &str,
) -> Vec<String> {
    let to_quoted = identifier(to);
    if let (Some(kind), Some(sequence)) = (&subject.column.identity, subject.sequence) {
        let name = world.free_name(&format!("{}_{end}", sequence.name.name));
        let name = Name::new(&sequence.name.schema, name);
        let kind = if kind == "a" { "always" } else { "by default" };
        return vec![
            template!("add_identity").with(&[
                ("table", &subject.quoted),
                ("column", &to_quoted),
                ("kind", kind),
                ("sequence", &name.quoted()),
                ("options", &options(sequence)),
            ]),
            template!("go_on_counting")
                .with(&[("from", &sequence.name.quoted()), ("to", &literal(&name.quoted()))]),
            of_column(subject, from, template!("drop_identity")),
            template!("rename_sequence")
                .with(&[("sequence", &name.quoted()), ("to", &identifier(&sequence.name.name))]),
        ];
    }
    let Some(default) = &subject.column.default else { return Vec::new() };
    let mut all = vec![
        template!("set_default").with(&[
            ("table", &subject.quoted),
            ("column", &to_quoted),
            ("expression", default),
        ]),
        of_column(subject, from, template!("drop_default")),
    ];
    let is_owned = |sequence: &&Sequence| simulate::is_owned(sequence, Some(default));
    if let Some(sequence) = subject.sequence.filter(is_owned) {
        all.push(template!("own_sequence").with(&[
            ("sequence", &sequence.name.quoted()),
            ("table", &subject.quoted),
            ("column", &to_quoted),
        ]));
    }
    all
}

/// Bounds that are those of the type are left to the new one.
fn options(sequence: &Sequence) -> String {
    let most = match sequence.type_name.as_str() {
        "smallint" => i64::from(i16::MAX),
        "integer" => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    let mut options = format!("start with {} increment by {}", sequence.start, sequence.increment);
    if sequence.maximum != most {
        options.push_str(&format!(" maxvalue {}", sequence.maximum));
    }
    if sequence.increment > 0 || sequence.minimum != -most - 1 {
        options.push_str(&format!(" minvalue {}", sequence.minimum));
    }
    if sequence.cycles {
        options.push_str(" cycle");
    }
    options
}

fn follow(subject: &Subject<'_>, sync: &Sync) -> [String; 2] {
    let (former, column) = (identifier(&subject.former), identifier(&subject.column.name));
    let with = [
        ("table", subject.quoted.as_str()),
        ("function", &sync.function),
        ("trigger", &sync.trigger),
        ("former", &former),
        ("column", &column),
    ];
    [template!("follow_function").with(&with), template!("sync_trigger").with(&with)]
}

fn take_over(subject: &Subject<'_>, key: &Key, index: &str) -> String {
    template!("add_constraint_using_index").with(&[
        ("table", &subject.quoted),
        ("constraint", &identifier(&key.wanted)),
        ("kind", if key.is_primary { "primary key" } else { "unique" }),
        ("index", &identifier(index)),
        ("deferrable", &key.timing),
    ])
}

fn drop_named(table: &str, constraint: &str) -> String {
    template!("drop_constraint_if_exists").with(&[("table", table), ("constraint", &identifier(constraint))])
}

fn rename_constraint(table: &str, from: &str, to: &str) -> String {
    template!("rename_constraint").with(&[
        ("table", table),
        ("constraint", &identifier(from)),
        ("to", &identifier(to)),
    ])
}

fn rename_column(subject: &Subject<'_>, from: &str, to: &str) -> String {
    template!("rename_column").with(&[
        ("table", &subject.quoted),
        ("column", &identifier(from)),
        ("to", &identifier(to)),
    ])
}

fn rename_index(schema: &str, from: &str, to: &str) -> String {
    let from = Name::new(schema, from).quoted();
    template!("rename_index").with(&[("index", &from), ("to", &identifier(to))])
}

fn of_column(subject: &Subject<'_>, column: &str, template: Template) -> String {
    template.with(&[("table", &subject.quoted), ("column", &identifier(column))])
}
