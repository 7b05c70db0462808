//! Keys that nobody declared: columns that name a thing in the world, and so should name only one row each.
//!
//! Each is believed only when nearly all of its values are different.

use posthaste_base::quote;
use posthaste_report::{Confidence, Severity};

use super::check::{About, Belief, Check, GroupCheck, Link, ticked};
use super::tables::{Col, Table, Tables};
use super::types::Family;
use super::words::{has_any, is_any};

/// Names one row wherever it stands as the row's own.
const NATURAL: &[&str] = &[
    "email",
    "e mail",
    "mail",
    "email address",
    "username",
    "user name",
    "login",
    "handle",
    "sku",
    "slug",
    "isbn",
    "ean",
    "upc",
    "gtin",
    "iban",
    "vin",
    "ssn",
    "vat",
    "vat id",
    "vat number",
    "vat no",
    "serial",
    "serial number",
    "serial no",
    "external id",
    "barcode",
    "license plate",
    "passport number",
    "invoice number",
    "invoice no",
    "order number",
    "order no",
    "tracking number",
    "token",
    "api key",
];
/// Names one row when it is called after the table, or the table is a list of such things.
const OF_LIST: &[&str] = &["code", "name", "title", "label", "number", "no", "nr", "key"];
const LISTS: &[&str] = &[
    "category",
    "tag",
    "country",
    "currency",
    "role",
    "status",
    "department",
    "brand",
    "type",
    "permission",
    "plan",
    "unit",
    "language",
    "locale",
    "region",
    "warehouse",
    "supplier",
    "vendor",
    "team",
    "project",
    "coupon",
    "voucher",
];

/// A share of rows above which the values are simply not a key.
const SURPLUS_AT_MOST: f64 = 0.1;

/// `links` are the relations that were believed or declared.
pub(super) fn checks(tables: &Tables<'_>, links: &[Link]) -> Vec<Check> {
    let mut checks = Vec::new();
    for table in &tables.all {
        let unique = table.unique_sets();
        let is_unique = |col: &Col<'_>| unique.iter().any(|set| set.as_slice() == [col.column.name.clone()]);
        if table.primary_key().is_none() {
            checks.extend(table.plain_id().filter(|col| !is_unique(col)).map(|col| identity(table, col)));
        }
        let points_elsewhere = |col: &Col<'_>| {
            links.iter().any(|l| l.child == *table.name() && l.columns.contains(&col.column.name))
        };
        for col in table.columns.iter().filter(|col| is_natural(table, col) && !points_elsewhere(col)) {
            if !is_unique(col) {
                checks.push(exact(table, col));
            }
            if col.family == Family::Text {
                checks.push(variant(table, col));
            }
        }
        checks.extend(pair(table, links));
    }
    checks
}

fn is_natural(table: &Table<'_>, col: &Col<'_>) -> bool {
    let own = col.words.strip_prefix(table.stem.as_slice()).unwrap_or(&col.words);
    // A person's page and a company's invoice have an e-mail too, which is not theirs alone.
    let is_of_other =
        has_any(&table.stem, &["event", "log", "history", "audit", "message", "item", "line", "archive"]);
    let is_list = table.stem.last().is_some_and(|last| LISTS.contains(&last.as_str()));
    let is_key_type = matches!(col.family, Family::Text | Family::Integer | Family::Uuid);
    let is_named = is_any(own, NATURAL) || is_any(&col.words, NATURAL);
    is_key_type && !is_of_other && (is_named || is_list && is_any(own, OF_LIST))
}

fn about(table: &Table<'_>, code: &'static str, says: String, columns: &[&str]) -> About {
    let name = format!("{}.{}", table.name().schema, table.name().name);
    let because = format!("nothing in the schema of `{name}` says so; the name and the other rows do");
    About::new(code, Severity::Medium, table.name(), says)
        .columns(columns)
        .confidence(Confidence::Likely)
        .evidence(because)
}

fn group(table: &Table<'_>, about: About, columns: &[&str], is_variant: bool) -> Check {
    let expressions = columns.iter().map(|column| format!("t.{}", quote::identifier(column)));
    // A blank names nothing; that it is there is said by itself.
    let is_text = |column: &&&str| table.column(column).is_some_and(|col| col.family == Family::Text);
    let filters = columns
        .iter()
        .filter(is_text)
        .map(|column| format!("t.{} ~ '[^[:space:]]'", quote::identifier(column)));
    let filter = filters.collect::<Vec<_>>().join(" and ");
    Check::Group(GroupCheck {
        about,
        from: table.from(),
        expressions: expressions.collect(),
        filter: Some(filter).filter(|filter| !filter.is_empty()),
        nulls_are_equal: false,
        is_variant,
        can_be_parted: is_variant
            || columns.iter().all(|name| table.column(name).is_some_and(Col::is_equal_as_text)),
        belief: Belief::AtMost(SURPLUS_AT_MOST),
    })
}

fn identity(table: &Table<'_>, col: &Col<'_>) -> Check {
    let name = col.column.name.as_str();
    let says = format!("share their `{name}`, and the table has no primary key");
    let mut about = about(table, "duplicates", says, &[name]);
    about.severity = Severity::High;
    group(table, about, &[name], false)
}

fn exact(table: &Table<'_>, col: &Col<'_>) -> Check {
    let name = col.column.name.as_str();
    group(table, about(table, "duplicates", format!("share their `{name}`"), &[name]), &[name], false)
}

fn variant(table: &Table<'_>, col: &Col<'_>) -> Check {
    let name = col.column.name.as_str();
    let says = format!("have a `{name}` that differs from another one's only by case or blanks");
    group(table, about(table, "variants", says, &[name]), &[name], true)
}

/// A table that does nothing but link two others links no two rows twice.
fn pair(table: &Table<'_>, links: &[Link]) -> Option<Check> {
    let own: Vec<&Link> = links.iter().filter(|l| l.child == *table.name() && l.columns.len() == 1).collect();
    let [one, other] = own.as_slice() else { return None };
    let is_time = |col: &Col<'_>| col.family.is_time();
    let is_own = |col: &Col<'_>| col.words.len() == 1 && col.words[0] == "id";
    let is_linked = |col: &Col<'_>| own.iter().any(|link| link.columns[0] == col.column.name);
    let does_nothing_else = table.columns.iter().all(|col| is_time(col) || is_own(col) || is_linked(col));
    let columns = [one.columns[0].as_str(), other.columns[0].as_str()];
    let is_unique =
        table.unique_sets().iter().any(|set| set.iter().all(|column| columns.contains(&column.as_str())));
    if !does_nothing_else || is_unique || one.columns == other.columns {
        return None;
    }
    let says = format!("link the same two rows as another one ({})", ticked(columns));
    let mut about = about(table, "duplicates", says, &columns);
    about.confidence = Confidence::Possible;
    Some(group(table, about, &columns, false))
}
