//! Rows that share what they should not: the first of each stays, the others are merged into it, or renamed.
//!
//! Not for: finding them (see `integrity`), and for batches (see `change`).

use posthaste_base::quote;

use super::change::{Deed, Mend};
use super::mend::{Left, Way, childless, keyed, shown};
use super::policy::Duplicates;
use crate::integrity::check::{GroupCheck, Link, columns};
use crate::integrity::tables::{Table, Tables};
use crate::integrity::types;
use crate::template::fill;

/// A group's rows, ranked: which one is kept, and which place each has.
struct Ranked<'r> {
    clause: String,
    /// `t.id`.
    key: &'r str,
    /// What the group shares, as one text.
    shared: String,
    left: Left,
}

pub(super) fn mend<'m, 'a>(
    tables: &'m Tables<'a>,
    links: &[Link],
    table: &'m Table<'a>,
    check: &GroupCheck,
    policy: Duplicates,
) -> Result<Way<'m, 'a>, String> {
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
    let (keys, filter, many) = (check.keys().join(", "), check.filter(), check.many());
    let values = [("keys", keys.as_str()), ("from", &check.from), ("filter", &filter), ("many", &many)];
    let left = Left {
        none: fill(include_str!("../../sql/fix/no_groups_left.sql"), &values),
        count: fill(include_str!("../../sql/fix/count_groups_left.sql"), &values),
    };
    let ranked = Ranked {
        clause: format!("ranked as (\n{ranked}\n)"),
        key: single,
        shared: format!("row({})::text", check.keys().join(", ")),
        left,
    };
    match policy {
        Duplicates::Rename => rename(table, check, ranked),
        _ => merge(tables, links, table, &ranked),
    }
}

fn rename<'m, 'a>(
    table: &'m Table<'a>,
    check: &GroupCheck,
    ranked: Ranked<'_>,
) -> Result<Way<'m, 'a>, String> {
    let only = match check.about.columns.as_slice() {
        [only] if check.expressions.len() == 1 => table.column(only),
        _ => None,
    };
    let col = only
        .filter(|col| col.family == types::Family::Text)
        .ok_or("since only a single text can be renamed")?;
    let (column, key) = (quote::identifier(&col.column.name), ranked.key);
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
    let title = format!(
        "rename what is there twice as `{}` in {}, but for the first",
        col.column.name,
        shown(table.name())
    );
    let mend = Mend {
        table,
        title: title.clone(),
        before: Some(ranked.clause),
        values: vec![(ranked.shared.clone(), "shared")],
        joins: "join ranked as r on r.part = t.tableoid and r.place = t.ctid".into(),
        condition: "r.place_in_group > 1".into(),
        still: format!("{} = w.shared", ranked.shared),
        deed: Deed::Set(format!(
            "{column} = case when {value} ~ '^[^@]+@[^@]+$' then {address} else {other} end"
        )),
        rows: None,
    };
    Ok(Way { title, mends: vec![mend], left: ranked.left })
}

/// What points to the others comes to point to the first, table by table; then the others go.
fn merge<'m, 'a>(
    tables: &'m Tables<'a>,
    links: &[Link],
    table: &'m Table<'a>,
    ranked: &Ranked<'_>,
) -> Result<Way<'m, 'a>, String> {
    let key = table.primary_key().unwrap_or_default();
    // The first one is there, and still is what the others are.
    let kept = format!(
        "exists (select from {} as t where {} = w.keeper and {} = w.shared)",
        table.from(),
        ranked.key,
        ranked.shared
    );
    let title =
        format!("merge rows of {} into the first of each, and what points to them", shown(table.name()));
    let mut mends = Vec::new();
    for link in links.iter().filter(|link| link.parent == *table.name()) {
        mends.push(repoint(tables, link, key, table, ranked, &kept)?);
    }
    mends.push(Mend {
        table,
        title: title.clone(),
        before: Some(ranked.clause.clone()),
        values: vec![("r.keeper".into(), "keeper"), (ranked.shared.clone(), "shared")],
        joins: "join ranked as r on r.part = t.tableoid and r.place = t.ctid".into(),
        condition: "r.place_in_group > 1".into(),
        still: format!("{} = w.shared and {kept}{}", ranked.shared, childless(tables, links, table)),
        deed: Deed::Delete,
        rows: None,
    });
    Ok(Way { title, mends, left: ranked.left.clone() })
}

fn repoint<'m, 'a>(
    tables: &'m Tables<'a>,
    link: &Link,
    key: &[String],
    parent: &Table<'_>,
    ranked: &Ranked<'_>,
    kept: &str,
) -> Result<Mend<'m, 'a>, String> {
    let child = tables.find(&link.child).ok_or("since a table that points to it is not looked at")?;
    keyed(child)?;
    let ([column], true) = (link.columns.as_slice(), link.parent_columns.as_slice() == key) else {
        return Err(format!("since {} points to it by other columns than its key", shown(&link.child)));
    };
    let col = child.column(column).ok_or("since a column that points to it is gone")?;
    let column = quote::identifier(column);
    let (cast, set) = match link.by_text {
        true => ("::text", format!("picked.keeper::text::{}", col.column.type_name)),
        false => ("", "picked.keeper".into()),
    };
    let moved = format!(
        "moved as (\n  select r.key, r.keeper, {} as shared\n  from ranked as r join {} as t on r.part = t.tableoid and \
         r.place = t.ctid\n  where r.place_in_group > 1\n)",
        ranked.shared,
        parent.from()
    );
    Ok(Mend {
        table: child,
        title: format!("point {} to the rows that stay of {}", shown(&link.child), shown(parent.name())),
        before: Some(format!("{}, {moved}", ranked.clause)),
        values: vec![
            ("m.keeper".into(), "keeper"),
            ("m.shared".into(), "shared"),
            (format!("t.{column}"), "was"),
        ],
        joins: format!("join moved as m on m.key{cast} = t.{column}{cast}"),
        condition: "true".into(),
        // Neither of the two has become another one meanwhile.
        still: format!(
            "t.{column} = w.was and {kept} and exists (select from {} as t where {}{cast} = w.was{cast} and {} = w.shared)",
            parent.from(),
            ranked.key,
            ranked.shared
        ),
        deed: Deed::Set(format!("{column} = {set}")),
        rows: None,
    })
}
