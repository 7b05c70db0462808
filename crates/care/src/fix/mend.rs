//! What becomes of rows that are wrong, by the policy for their kind.
//!
//! Not for: keeping rows as they were (see `change`), and for the order of steps.

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Action, Effect, Estimate, Lock, LockMode, Step};

use super::Order;
use super::change::{self, Change, Place};
use super::policy::{Duplicates, Negatives, Orphans, Totals};
use crate::integrity::Fault;
use crate::integrity::check::{
    Check, GroupCheck, Link, OrphanCheck, RowCheck, TotalCheck, columns, equal, none_is_null,
};
use crate::integrity::tables::{Table, Tables, from};
use crate::integrity::types;
use crate::template::fill;

/// A fault that the plan mends.
#[derive(Clone, Debug)]
pub(super) struct Mending {
    pub step: Step,
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
    /// Answers true when nothing is left.
    none_left: String,
}

impl Mending {
    /// A look at the end whether it helped.
    pub(super) fn check(&self) -> Step {
        let action = Action::Check { sql: self.none_left.clone() };
        let mut step =
            Step::new(format!("verify-{}", self.step.id), format!("verify: {}", self.step.title), action);
        step.effect = Effect::Scan;
        step.needs_no_undo = true;
        step
    }
}

/// What a policy does, before it is a step.
struct Way {
    title: String,
    statements: Vec<String>,
    none_left: String,
    tables: Vec<Name>,
    aside: Option<Name>,
}

/// The step that mends a fault, or why there is none.
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
    let place = Place { plan: order.name, step: &id };
    let way = match &fault.check {
        Check::Orphan(check) => {
            orphans(tables, links, table, check, order.policies.orphans(table.name()), place)
        }
        Check::Row(check) if about.code == "negative-value" => {
            negatives(tables, links, table, check, order.policies.negatives(table.name()), place)
        }
        Check::Group(check) if !check.is_variant && about.code == "duplicates" => {
            duplicates(tables, links, table, check, order.policies.duplicates(table.name()), place)
        }
        Check::Total(check) => totals(tables, table, check, order.policies.totals(table.name()), place),
        _ => Err("since only a person can know what is right".into()),
    }?;
    let rows = fault.finding.counts.get("rows").copied().unwrap_or_default();
    let mut statements = vec![change::settings()];
    statements.extend(way.statements);
    let mut step = Step::new(id.clone(), way.title.clone(), Action::Transaction { statements });
    step.effect = Effect::Scan;
    step.estimate = Some(Estimate {
        bytes: Some(table.leaves.iter().map(|leaf| leaf.size.bytes).sum()),
        rows: u64::try_from(rows).ok(),
        seconds: None,
    });
    step.locks = way.tables.iter().map(|name| Lock::table(name, LockMode::RowExclusive)).collect();
    step.undo = change::undo(place, way.aside.as_ref());
    let is_broken =
        fault.finding.evidence.iter().any(|evidence| evidence.text.contains("is broken: it finds"));
    let broken_index =
        about.name.as_ref().filter(|_| is_broken).map(|index| Name::new(&about.table.schema, index));
    Ok(Mending {
        step,
        does: way.title,
        of: fault.check.clone(),
        tables: way.tables,
        aside: way.aside,
        broken_index,
        none_left: way.none_left,
    })
}

fn none_left(table: &Table<'_>, joins: &str, condition: &str) -> String {
    fill(
        include_str!("../../sql/fix/none_left.sql"),
        &[("from", &table.from()), ("joins", joins), ("condition", condition)],
    )
}

/// A row is known by its key when it is to get its old values back.
fn keyed(table: &Table<'_>) -> Result<(), String> {
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
fn childless(tables: &Tables<'_>, links: &[Link], table: &Table<'_>) -> String {
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
fn removal(table: &Table<'_>, condition: String, is_aside: bool, title: String, place: Place<'_>) -> Way {
    let mut statements = vec![change::delete(table, &[], &condition, place)];
    if is_aside {
        statements.push(change::put_aside(table, place));
    }
    Way {
        title,
        statements,
        none_left: none_left(table, "", &condition),
        tables: vec![table.name().clone()],
        aside: is_aside.then(|| table.name().clone()),
    }
}

fn shown(name: &Name) -> String {
    format!("`{}.{}`", name.schema, name.name)
}

fn orphans(
    tables: &Tables<'_>,
    links: &[Link],
    table: &Table<'_>,
    check: &OrphanCheck,
    policy: Orphans,
    place: Place<'_>,
) -> Result<Way, String> {
    let link = &check.link;
    let parent = tables.catalog.relation(Some(&link.parent.schema), &link.parent.name);
    let parent_from = parent.map_or_else(|| link.parent.quoted(), from);
    let matched = equal("p", &link.parent_columns, "t", &link.columns, link.by_text);
    let is_orphan = format!(
        "{} and not exists (select from {parent_from} as p where {matched})",
        none_is_null("t", &link.columns)
    );
    let of = format!("of {} without one in {}", shown(table.name()), shown(&link.parent));
    let set = match policy {
        Orphans::Show => return Err("as no policy for orphans was chosen".into()),
        Orphans::Quarantine | Orphans::Delete => {
            let is_aside = policy == Orphans::Quarantine;
            let condition = format!("{is_orphan}{}", childless(tables, links, table));
            let verb = if is_aside { "put rows aside" } else { "delete rows" };
            return Ok(removal(table, condition, is_aside, format!("{verb} {of}"), place));
        }
        Orphans::SetNull => {
            let required =
                link.columns.iter().find(|name| table.column(name).is_some_and(|col| col.column.is_not_null));
            if let Some(required) = required {
                return Err(format!("since `{required}` is NOT NULL and cannot be unset"));
            }
            let pairs = link.columns.iter().map(|column| format!("{} = null", quote::identifier(column)));
            (
                pairs.collect::<Vec<_>>().join(", "),
                is_orphan,
                format!("unset what points nowhere in rows {of}"),
            )
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
    let (set, condition, title) = set;
    let orphan = condition.split(" and exists").next().unwrap_or(&condition).to_owned();
    let change = Change {
        table,
        before: Vec::new(),
        values: Vec::new(),
        joins: String::new(),
        condition,
        locks: true,
        set,
    };
    Ok(Way {
        title,
        statements: vec![change.statement(place)],
        none_left: none_left(table, "", &orphan),
        tables: vec![table.name().clone()],
        aside: None,
    })
}

fn negatives(
    tables: &Tables<'_>,
    links: &[Link],
    table: &Table<'_>,
    check: &RowCheck,
    policy: Negatives,
    place: Place<'_>,
) -> Result<Way, String> {
    let column = check.about.columns.first().ok_or("since it is about no column")?;
    let title = format!("of {} with a negative `{column}`", shown(table.name()));
    match policy {
        Negatives::Show => Err("as no policy for negatives was chosen".into()),
        Negatives::Quarantine => {
            let condition = format!("{}{}", check.condition, childless(tables, links, table));
            Ok(removal(table, condition, true, format!("put rows aside {title}"), place))
        }
        Negatives::Clamp => {
            keyed(table)?;
            let change = Change {
                table,
                before: Vec::new(),
                values: Vec::new(),
                joins: String::new(),
                condition: check.condition.clone(),
                locks: true,
                set: format!("{} = 0", quote::identifier(column)),
            };
            Ok(Way {
                title: format!("set to 0 in rows {title}"),
                statements: vec![change.statement(place)],
                none_left: none_left(table, "", &check.condition),
                tables: vec![table.name().clone()],
                aside: None,
            })
        }
    }
}

fn duplicates(
    tables: &Tables<'_>,
    links: &[Link],
    table: &Table<'_>,
    check: &GroupCheck,
    policy: Duplicates,
    place: Place<'_>,
) -> Result<Way, String> {
    if policy == Duplicates::Show {
        return Err("as no policy for duplicates was chosen".into());
    }
    keyed(table)?;
    let key = table.primary_key().unwrap_or_default();
    if check.about.columns.as_slice() == key {
        return Err(
            "since it is the key itself that is there twice, and nothing says which row is the right one"
                .into(),
        );
    }
    let key_columns = columns("t", key);
    let [single] = key_columns.as_slice() else {
        return Err("since its key has several columns, and no order says which row stays".into());
    };
    let ranked = fill(
        include_str!("../../sql/fix/ranked.sql"),
        &[
            ("key", single),
            ("order", single),
            ("keys", &check.keys().join(", ")),
            ("from", &check.from),
            ("filter", &check.filter()),
        ],
    );
    let ranked = format!("ranked as (\n{ranked}\n)");
    let none_left = fill(
        include_str!("../../sql/fix/no_groups_left.sql"),
        &[
            ("keys", &check.keys().join(", ")),
            ("from", &check.from),
            ("filter", &check.filter()),
            ("many", &check.many()),
        ],
    );
    match policy {
        Duplicates::Rename => rename(table, check, single, ranked, none_left, place),
        _ => merge(tables, links, table, ranked, none_left, place),
    }
}

fn rename(
    table: &Table<'_>,
    check: &GroupCheck,
    key: &str,
    ranked: String,
    none_left: String,
    place: Place<'_>,
) -> Result<Way, String> {
    let only = match check.about.columns.as_slice() {
        [only] if check.expressions.len() == 1 => table.column(only),
        _ => None,
    };
    let col = only
        .filter(|col| col.family == types::Family::Text)
        .ok_or("since only a single text can be renamed")?;
    let column = quote::identifier(&col.column.name);
    let value = format!("t.{column}::text");
    let length = types::length_max(&col.column.type_name).unwrap_or(100_000);
    let cut =
        |text: &str, tail: &str| format!("left({text}, greatest(1, {length} - length({tail}))) || {tail}");
    // An address stays one: what comes behind a `+` is delivered to the same box in most places.
    let domain = format!("split_part({value}, '@', 2)");
    let address = cut(
        &format!("split_part({value}, '@', 1)"),
        &format!("('+duplicate-' || {key}::text || '@' || {domain})"),
    );
    let other = cut(&value, &format!("('_duplicate_' || {key}::text)"));
    let change = Change {
        table,
        before: vec![ranked],
        values: Vec::new(),
        joins: "join ranked as r on r.part = t.tableoid and r.place = t.ctid".into(),
        condition: "r.place_in_group > 1".into(),
        locks: false,
        set: format!("{column} = case when {value} ~ '^[^@]+@[^@]+$' then {address} else {other} end"),
    };
    Ok(Way {
        title: format!(
            "rename what is there twice as `{}` in {}, but for the first",
            col.column.name,
            shown(table.name())
        ),
        statements: vec![change.statement(place)],
        none_left,
        tables: vec![table.name().clone()],
        aside: None,
    })
}

fn merge(
    tables: &Tables<'_>,
    links: &[Link],
    table: &Table<'_>,
    ranked: String,
    none_left: String,
    place: Place<'_>,
) -> Result<Way, String> {
    let key = table.primary_key().unwrap_or_default();
    let moved = "moved as (select key, keeper from ranked where place_in_group > 1)".to_owned();
    let mut statements = Vec::new();
    let mut touched = Vec::new();
    for link in links.iter().filter(|link| link.parent == *table.name()) {
        let child = tables.find(&link.child).ok_or("since a table that points to it is not looked at")?;
        keyed(child)?;
        let ([column], true) = (link.columns.as_slice(), link.parent_columns.as_slice() == key) else {
            return Err(format!("since {} points to it by other columns than its key", shown(&link.child)));
        };
        let col = child.column(column).ok_or("since a column that points to it is gone")?;
        let column = quote::identifier(column);
        let (cast, kept) = match link.by_text {
            true => ("::text", format!("picked.keeper::text::{}", col.column.type_name)),
            false => ("", "picked.keeper".into()),
        };
        let change = Change {
            table: child,
            before: vec![ranked.clone(), moved.clone()],
            values: vec!["m.keeper as keeper".into()],
            joins: format!("join moved as m on m.key{cast} = t.{column}{cast}"),
            condition: "true".into(),
            locks: true,
            set: format!("{column} = {kept}"),
        };
        statements.push(change.statement(place));
        touched.push(link.child.clone());
    }
    let condition = "exists (select from ranked as r where r.part = t.tableoid and r.place = t.ctid and r.place_in_group > 1)";
    statements.push(change::delete(table, &[ranked], condition, place));
    touched.push(table.name().clone());
    Ok(Way {
        title: format!(
            "merge rows of {} into the first of each, and what points to them",
            shown(table.name())
        ),
        statements,
        none_left,
        tables: super::distinct(touched.into_iter()),
        aside: None,
    })
}

fn totals(
    tables: &Tables<'_>,
    table: &Table<'_>,
    check: &TotalCheck,
    policy: Totals,
    place: Place<'_>,
) -> Result<Way, String> {
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
    let change = Change {
        table,
        before: vec![format!("s as (\n{sums}\n)")],
        values: vec![format!("{} as value", check.expected("items"))],
        joins: format!("left join s on {matched}"),
        condition: condition.clone(),
        locks: true,
        set: format!("{} = picked.value", quote::identifier(&check.total)),
    };
    Ok(Way {
        title: format!(
            "compute `{}` of {} again from {}",
            check.total,
            shown(table.name()),
            shown(child.name())
        ),
        statements: vec![change.statement(place)],
        none_left: none_left(table, &format!("left join (\n{sums}\n) as s on {matched}"), &condition),
        tables: vec![table.name().clone()],
        aside: None,
    })
}
