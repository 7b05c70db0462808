//! What becomes of rows that are wrong, by the policy for their kind.
//!
//! Not for: keeping rows as they were (see `change`), and for the order of steps.

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Action, Effect, Step};

use super::Order;
use super::change::{Deed, Found, Mend, Place};
use super::duplicates;
use super::policy::{Negatives, Orphans, Totals};
use crate::integrity::Fault;
use crate::integrity::check::{Check, Link, OrphanCheck, RowCheck, TotalCheck, columns, equal, none_is_null};
use crate::integrity::tables::{Table, Tables, from};
use crate::template::fill;

/// A fault that the plan mends.
#[derive(Clone, Debug)]
pub(super) struct Mending {
    /// Each of them finds rows, or mends those that the one before has found.
    pub steps: Vec<Step>,
    pub found: Vec<Found>,
    /// What the steps of the fault start with.
    id: String,
    /// "15 rows are deleted".
    pub does: String,
    /// The check that found it.
    pub of: Check,
    /// Whose rows change.
    pub tables: Vec<Name>,
    /// The table whose rows are put aside.
    pub aside: Option<Name>,
    /// An index that misses rows, and has to be built anew.
    pub broken_index: Option<Name>,
    left: Left,
}

/// What is asked in the end.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// Answers true when nothing is left.
    pub none: String,
    /// Answers how many rows are left.
    pub count: String,
}

impl Mending {
    /// How many rows are left, into what is kept of the plan.
    pub(super) fn measure(&self, plan: &str) -> String {
        let (plan, step) = (quote::literal(plan), quote::literal(&self.id));
        let values = [("plan", plan.as_str()), ("step", &step), ("count", &self.left.count)];
        fill(include_str!("../../sql/fix/measure_left.sql"), &values)
    }

    /// A look at the end whether it helped.
    pub(super) fn check(&self) -> Step {
        let action = Action::Check { sql: self.left.none.clone() };
        let mut step = Step::new(format!("verify-{}", self.id), format!("verify: {}", self.does), action);
        step.effect = Effect::Scan;
        step.needs_no_undo = true;
        step
    }
}

/// What a policy does, before it is steps.
pub(super) struct Way<'m, 'a> {
    pub title: String,
    /// One after the other; the last one is what it is about.
    pub mends: Vec<Mend<'m, 'a>>,
    pub left: Left,
}

impl<'m, 'a> Way<'m, 'a> {
    fn of_one(mend: Mend<'m, 'a>, left: Left) -> Self {
        Self { title: mend.title.clone(), mends: vec![mend], left }
    }
}

/// The steps that mend a fault, or why there are none.
pub(super) fn steps(
    tables: &Tables<'_>,
    links: &[Link],
    fault: &Fault,
    order: &Order<'_>,
    number: usize,
) -> Result<Mending, String> {
    let about = fault.check.about();
    let table = tables.find(&about.table).ok_or("since it is about no single table")?;
    let id = format!("{number:02}-{}", about.code);
    let mut way = match &fault.check {
        Check::Orphan(check) => orphans(tables, links, table, check, order.policies.orphans(table.name())),
        Check::Row(check) if about.code == "negative-value" => {
            negatives(tables, links, table, check, order.policies.negatives(table.name()))
        }
        Check::Group(check) if !check.is_variant && about.code == "duplicates" => {
            duplicates::mend(tables, links, table, check, order.policies.duplicates(table.name()))
        }
        Check::Total(check) => totals(tables, table, check, order.policies.totals(table.name())),
        _ => Err("since only a person can know what is right".into()),
    }?;
    let rows = fault.finding.counts.get("rows").copied().unwrap_or_default();
    if let Some(last) = way.mends.last_mut() {
        last.rows = u64::try_from(rows).ok();
    }
    let (mut steps, mut found) = (Vec::new(), Vec::new());
    for (at, mend) in way.mends.iter().enumerate() {
        let is_last = at + 1 == way.mends.len();
        let step = if is_last { id.clone() } else { format!("{id}-{}", at + 1) };
        let (own, list) = mend.steps(Place { plan: order.name, step: &step });
        steps.extend(own);
        found.push(list);
    }
    let is_broken =
        fault.finding.evidence.iter().any(|evidence| evidence.text.contains("is broken: it finds"));
    let broken_index =
        about.name.as_ref().filter(|_| is_broken).map(|index| Name::new(&about.table.schema, index));
    let aside = way.mends.iter().find(|mend| matches!(mend.deed, Deed::PutAside));
    Ok(Mending {
        steps,
        found,
        id,
        does: way.title,
        of: fault.check.clone(),
        tables: super::distinct(way.mends.iter().map(|mend| mend.table.name().clone())),
        aside: aside.map(|mend| mend.table.name().clone()),
        broken_index,
        left: way.left,
    })
}

fn none_left(table: &Table<'_>, joins: &str, condition: &str) -> Left {
    let from = table.from();
    let values = [("from", from.as_str()), ("joins", joins), ("condition", condition)];
    Left {
        none: fill(include_str!("../../sql/fix/none_left.sql"), &values),
        count: fill(include_str!("../../sql/fix/count_left.sql"), &values),
    }
}

/// A row is known by its key when it is to get its old values back.
pub(super) fn keyed(table: &Table<'_>) -> Result<(), String> {
    let name = table.name();
    match table.primary_key() {
        Some(_) => Ok(()),
        None => Err(format!(
            "since `{}.{}` has no primary key, and a changed row of it could not be taken back",
            name.schema, name.name
        )),
    }
}

/// Rows that go must leave nobody behind: neither an orphan, nor one that a CASCADE takes along unseen.
pub(super) fn childless(tables: &Tables<'_>, links: &[Link], table: &Table<'_>) -> String {
    let own = links.iter().filter(|link| link.parent == *table.name());
    own.map(|link| {
        let child = tables.catalog.relation(Some(&link.child.schema), &link.child.name);
        let child = child.map_or_else(|| link.child.quoted(), from);
        let matched = equal("x", &link.columns, "t", &link.parent_columns, link.by_text);
        format!(" and not exists (select from {child} as x where {matched})")
    })
    .collect()
}

/// Rows that are put aside, or deleted.
fn removal<'m, 'a>(table: &'m Table<'a>, condition: String, is_aside: bool, title: String) -> Way<'m, 'a> {
    let none_left = none_left(table, "", &condition);
    let deed = if is_aside { Deed::PutAside } else { Deed::Delete };
    Way::of_one(plain(table, title, condition, deed), none_left)
}

/// Rows that are known by a condition, now and later.
fn plain<'m, 'a>(table: &'m Table<'a>, title: String, condition: String, deed: Deed) -> Mend<'m, 'a> {
    Mend {
        table,
        title,
        before: None,
        values: Vec::new(),
        joins: String::new(),
        still: condition.clone(),
        condition,
        deed,
        rows: None,
    }
}

pub(super) fn shown(name: &Name) -> String {
    format!("`{}.{}`", name.schema, name.name)
}

fn orphans<'m, 'a>(
    tables: &Tables<'_>,
    links: &[Link],
    table: &'m Table<'a>,
    check: &OrphanCheck,
    policy: Orphans,
) -> Result<Way<'m, 'a>, String> {
    let link = &check.link;
    let parent = tables.catalog.relation(Some(&link.parent.schema), &link.parent.name);
    let parent_from = parent.map_or_else(|| link.parent.quoted(), from);
    let matched = equal("p", &link.parent_columns, "t", &link.columns, link.by_text);
    let is_orphan = format!(
        "{} and not exists (select from {parent_from} as p where {matched})",
        none_is_null("t", &link.columns)
    );
    let of = format!("of {} without one in {}", shown(table.name()), shown(&link.parent));
    let (set, condition, title) = match policy {
        Orphans::Show => return Err("as no policy for orphans was chosen".into()),
        Orphans::Quarantine | Orphans::Delete => {
            let is_aside = policy == Orphans::Quarantine;
            let condition = format!("{is_orphan}{}", childless(tables, links, table));
            let verb = if is_aside { "put rows aside" } else { "delete rows" };
            return Ok(removal(table, condition, is_aside, format!("{verb} {of}")));
        }
        Orphans::SetNull => {
            let required =
                link.columns.iter().find(|name| table.column(name).is_some_and(|col| col.column.is_not_null));
            if let Some(required) = required {
                return Err(format!("since `{required}` is NOT NULL and cannot be unset"));
            }
            let pairs = link.columns.iter().map(|column| format!("{} = null", quote::identifier(column)));
            let title = format!("unset what points nowhere in rows {of}");
            (pairs.collect::<Vec<_>>().join(", "), is_orphan.clone(), title)
        }
        Orphans::Reparent(key) => {
            let ([column], [parent_column]) = (link.columns.as_slice(), link.parent_columns.as_slice())
            else {
                return Err("since one key cannot be given for several columns".into());
            };
            let key = quote::literal(&key);
            let is_there = format!(
                " and exists (select from {parent_from} as p where p.{} = {key})",
                quote::identifier(parent_column)
            );
            let set = format!("{} = {key}", quote::identifier(column));
            (set, format!("{is_orphan}{is_there}"), format!("point rows {of} to {key}"))
        }
    };
    keyed(table)?;
    Ok(Way::of_one(plain(table, title, condition, Deed::Set(set)), none_left(table, "", &is_orphan)))
}

fn negatives<'m, 'a>(
    tables: &Tables<'_>,
    links: &[Link],
    table: &'m Table<'a>,
    check: &RowCheck,
    policy: Negatives,
) -> Result<Way<'m, 'a>, String> {
    let column = check.about.columns.first().ok_or("since it is about no column")?;
    let title = format!("of {} with a negative `{column}`", shown(table.name()));
    match policy {
        Negatives::Show => Err("as no policy for negatives was chosen".into()),
        Negatives::Quarantine => {
            let condition = format!("{}{}", check.condition, childless(tables, links, table));
            Ok(removal(table, condition, true, format!("put rows aside {title}")))
        }
        Negatives::Clamp => {
            keyed(table)?;
            let set = Deed::Set(format!("{} = 0", quote::identifier(column)));
            let mend = plain(table, format!("set to 0 in rows {title}"), check.condition.clone(), set);
            Ok(Way::of_one(mend, none_left(table, "", &check.condition)))
        }
    }
}

fn totals<'m, 'a>(
    tables: &Tables<'_>,
    table: &'m Table<'a>,
    check: &TotalCheck,
    policy: Totals,
) -> Result<Way<'m, 'a>, String> {
    if policy == Totals::Show {
        return Err("as no policy for totals was chosen".into());
    }
    keyed(table)?;
    let child = tables.find(&check.link.child).ok_or("since the table of items is not looked at")?;
    let sums = fill(
        include_str!("../../sql/fix/sums.sql"),
        &[
            ("keys", &columns("c", &check.link.columns).join(", ")),
            ("item", &check.item),
            ("child", &child.from()),
        ],
    );
    let matched = equal("s", &check.link.columns, "t", &check.link.parent_columns, false);
    let condition = format!("{} is distinct from {}", check.total(), check.expected("items"));
    let total = quote::identifier(&check.total);
    let none_left = none_left(table, &format!("left join (\n{sums}\n) as s on {matched}"), &condition);
    let mend = Mend {
        table,
        title: format!(
            "compute `{}` of {} again from {}",
            check.total,
            shown(table.name()),
            shown(child.name())
        ),
        before: Some(format!("s as (\n{sums}\n)")),
        values: vec![(check.expected("items"), "value"), (format!("t.{total}"), "was")],
        joins: format!("left join s on {matched}"),
        condition,
        // Who changes the items changes the total too, or did not know of it before.
        still: format!("t.{total} is not distinct from w.was"),
        deed: Deed::Set(format!("{total} = picked.value")),
        rows: None,
    };
    Ok(Way::of_one(mend, none_left))
}
