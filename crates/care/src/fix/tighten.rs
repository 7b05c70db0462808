//! What keeps the data right once it is: constraints, indexes, and tables that are counted anew.
//!
//! Not for: data.

use posthaste_base::catalog::{ConstraintKind, Name};
use posthaste_base::quote;
use posthaste_report::{Action, Effect, Lock, LockMode, Step};

use super::Order;
use super::mend::Mending;
use crate::integrity::Outcome;
use crate::integrity::check::{Belief, Check, Link};
use crate::integrity::tables::{Table, Tables};
use crate::template::fill;

/// Constraints are added as NOT VALID, which takes a moment, and validated beside writers.
pub(super) fn constraints(
    tables: &Tables<'_>,
    outcome: &Outcome,
    mended: &[Mending],
    order: &Order<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for mending in mended {
        let about = mending.of.about();
        let Some(table) = tables.find(&about.table) else { continue };
        let open = about.name.as_ref().filter(|name| {
            let mut all = table.relation.constraints.iter();
            all.any(|constraint| {
                constraint.name == **name && !constraint.is_validated && constraint.is_enforced
            })
        });
        if let Some(name) = open {
            steps.push(validate(table.name(), name));
        }
        if let (Check::Row(check), true) = (&mending.of, order.policies.adds_constraints)
            && let [column] = check.about.columns.as_slice()
        {
            let name = free_name(table, &[column], "not_negative");
            let condition = format!("{} >= 0", quote::identifier(column));
            let values = [("condition", condition.as_str())];
            steps.extend(add(table.name(), &name, include_str!("../../sql/fix/add_check.sql"), &values));
        }
    }
    if order.policies.adds_constraints {
        let links = outcome.links.iter().filter(|link| can_be_declared(tables, outcome, mended, link));
        steps.extend(links.flat_map(|link| foreign_key(tables, link)));
    }
    steps
}

/// Whether nobody has declared it, and no row is left that would break it.
fn can_be_declared(tables: &Tables<'_>, outcome: &Outcome, mended: &[Mending], link: &Link) -> bool {
    let is_same = |check: &Check| matches!(check, Check::Orphan(check) if check.link == *link);
    let is_open = outcome.faults.iter().any(|fault| is_same(&fault.check));
    let is_mended = mended.iter().any(|mending| is_same(&mending.of));
    let (Some(child), Some(parent)) = (tables.find(&link.child), tables.find(&link.parent)) else {
        return false;
    };
    let mut declared = child.constraints(ConstraintKind::ForeignKey);
    let is_declared = declared.any(|key| key.columns == link.columns);
    let is_unique = parent.unique_sets().iter().any(|set| {
        set.len() == link.parent_columns.len()
            && set.iter().all(|column| link.parent_columns.contains(column))
    });
    // A reference to or from a partitioned table cannot be NOT VALID on all versions.
    let is_plain = [child, parent]
        .iter()
        .all(|table| table.leaves.len() == 1 && table.leaves[0].oid == table.relation.oid);
    !link.by_text && !is_declared && is_unique && is_plain && (!is_open || is_mended)
}

fn foreign_key(tables: &Tables<'_>, link: &Link) -> Vec<Step> {
    let Some(child) = tables.find(&link.child) else { return Vec::new() };
    let name = free_name(child, &link.columns, "fkey");
    let (columns, parent) = (quote::identifiers(&link.columns), link.parent.quoted());
    let parent_columns = quote::identifiers(&link.parent_columns);
    let values = [("columns", columns.as_str()), ("parent", &parent), ("parent_columns", &parent_columns)];
    let mut steps = add(&link.child, &name, include_str!("../../sql/fix/add_foreign_key.sql"), &values);
    if let Some(step) = steps.first_mut() {
        step.locks =
            [&link.child, &link.parent].map(|table| Lock::table(table, LockMode::ShareRowExclusive)).into();
    }
    steps
}

fn add(table: &Name, name: &str, template: &str, values: &[(&str, &str)]) -> Vec<Step> {
    let (quoted, quoted_name) = (table.quoted(), quote::identifier(name));
    let own = [("table", quoted.as_str()), ("name", quoted_name.as_str())];
    let all: Vec<(&str, &str)> = own.iter().chain(values).copied().collect();
    let action = Action::Transaction { statements: vec![fill(template, &all)] };
    let mut step =
        Step::new(format!("add-{}-{name}", table.schema), format!("add constraint `{name}`"), action);
    step.locks = vec![Lock::table(table, LockMode::AccessExclusive)];
    step.undo = vec![fill(include_str!("../../sql/fix/drop_constraint.sql"), &own)];
    vec![step, validate(table, name)]
}

fn validate(table: &Name, name: &str) -> Step {
    let values = [("table", table.quoted()), ("name", quote::identifier(name))];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let statements = vec![fill(include_str!("../../sql/fix/validate.sql"), &values)];
    let id = format!("validate-{}-{name}", table.schema);
    let mut step = Step::new(id, format!("validate constraint `{name}`"), Action::Transaction { statements });
    step.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
    step.effect = Effect::Scan;
    step.needs_no_undo = true;
    step
}

/// A name of at most 63 bytes that no constraint of the table has.
fn free_name<S: AsRef<str>>(table: &Table<'_>, columns: &[S], end: &str) -> String {
    let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    let start = format!("{}_{}", table.name().name, columns.join("_"));
    let taken = |name: &String| table.relation.constraints.iter().any(|constraint| constraint.name == *name);
    (0..).map(|number| named(&start, end, number)).find(|name| !taken(name)).unwrap_or_default()
}

fn named(start: &str, end: &str, number: u32) -> String {
    let end = if number == 0 { format!("_{end}") } else { format!("_{end}{number}") };
    let mut start = start.to_owned();
    while start.len() + end.len() > 63 {
        start.pop();
    }
    start + &end
}

/// Indexes that miss rows are built anew, and keys that nobody had declared are.
pub(super) fn indexes(mended: &[Mending], order: &Order<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for mending in mended {
        if let Some(index) = &mending.broken_index {
            let statement = fill(include_str!("../../sql/fix/reindex.sql"), &[("name", &index.quoted())]);
            let action = Action::Alone { statement, index: None };
            let mut step = Step::new(
                format!("reindex-{}-{}", index.schema, index.name),
                format!("build `{}` anew", index.name),
                action,
            );
            step.locks = vec![Lock::table(&mending.of.about().table, LockMode::ShareUpdateExclusive)];
            step.effect = Effect::Scan;
            step.needs_no_undo = true;
            steps.push(step);
        }
        if let (Check::Group(check), true) = (&mending.of, order.policies.adds_constraints)
            && matches!(check.belief, Belief::AtMost(_))
            && check.filter.is_none()
        {
            steps.push(unique_index(&check.about.table, &check.about.columns));
        }
    }
    steps
}

fn unique_index(table: &Name, columns: &[String]) -> Step {
    let name = Name::new(&table.schema, named(&format!("{}_{}", table.name, columns.join("_")), "key", 0));
    let values = [
        ("name", quote::identifier(&name.name)),
        ("table", table.quoted()),
        ("columns", quote::identifiers(columns)),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let statement = fill(include_str!("../../sql/fix/create_unique_index.sql"), &values);
    let action = Action::Alone { statement, index: Some(format!("{}.{}", name.schema, name.name)) };
    let mut step = Step::new(
        format!("unique-{}-{}", name.schema, name.name),
        format!("build unique index `{}`", name.name),
        action,
    );
    step.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
    step.effect = Effect::Scan;
    step.undo = vec![fill(include_str!("../../sql/fix/drop_index.sql"), &[("name", &name.quoted())])];
    step
}

pub(super) fn vacuum(tables: &[Name]) -> Vec<Step> {
    let step = |table: &Name| {
        let statement = fill(include_str!("../../sql/fix/vacuum.sql"), &[("table", &table.quoted())]);
        let (id, title) = (
            format!("vacuum-{}-{}", table.schema, table.name),
            format!("give the space of `{}` back", table.name),
        );
        let mut step = Step::new(id, title, Action::Alone { statement, index: None });
        step.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
        step.effect = Effect::Scan;
        step.needs_no_undo = true;
        step
    };
    tables.iter().map(step).collect()
}
