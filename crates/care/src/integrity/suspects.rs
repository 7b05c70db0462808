//! Conditions on single rows that nobody declared, from names and types: less than nothing, blank, missing, too
//! early or too late.
//!
//! Each one is believed only as long as nearly all rows keep it (see `Belief`).

use posthaste_base::quote;
use posthaste_report::{Confidence, Severity};

use super::check::{About, Belief, Check, RowCheck};
use super::tables::{Col, Table, Tables};
use super::types::Family;
use super::words::{has_any, is_any};

/// What there cannot be less than none of.
const COUNTED: &[&str] = &[
    "stock",
    "quantity",
    "qty",
    "price",
    "amount",
    "total",
    "subtotal",
    "cost",
    "fee",
    "count",
    "inventory",
    "seats",
    "capacity",
    "weight",
    "height",
    "width",
    "length",
    "size",
    "age",
    "duration",
    "units",
    "pieces",
    "copies",
    "salary",
];
/// Books in which less than nothing is an entry like any other.
const BOOKS: &[&str] = &[
    "ledger",
    "transaction",
    "entry",
    "adjustment",
    "movement",
    "refund",
    "credit",
    "journal",
    "posting",
    "booking",
    "correction",
    "delta",
    "change",
    "balance",
    "return",
];
/// Differences, which may well be negative.
const DIFFERENCES: &[&str] = &[
    "delta",
    "diff",
    "difference",
    "change",
    "adjustment",
    "balance",
    "discount",
    "offset",
    "net",
    "margin",
    "refund",
];
/// What a row is of little use without.
const CRITICAL: &[&str] = &[
    "name",
    "email",
    "e mail",
    "mail",
    "sku",
    "title",
    "price",
    "unit price",
    "status",
    "currency",
    "quantity",
    "qty",
    "stock",
    "first name",
    "last name",
    "full name",
    "product name",
    "username",
    "user name",
    "slug",
    "total",
    "total amount",
    "isbn",
    "amount",
    "created at",
    "created",
    "placed at",
    "order date",
    "ordered at",
    "stock quantity",
];
/// What has happened has happened before now.
const PAST: &[&str] = &[
    "created",
    "inserted",
    "updated",
    "modified",
    "changed",
    "deleted",
    "ordered",
    "placed",
    "purchased",
    "shipped",
    "dispatched",
    "delivered",
    "received",
    "returned",
    "refunded",
    "paid",
    "registered",
    "signed up",
    "logged",
    "seen",
    "login",
    "birth",
    "born",
    "completed",
    "cancelled",
    "canceled",
    "sent",
    "recorded",
    "measured",
    "joined",
    "order",
    "purchase",
    "last login",
    "last seen",
    "signup",
    "captured",
    "picked up",
    "issued",
    "loaded",
    "built",
    "hired",
];
/// In each list, one does not come before another that stands before it.
const CHAINS: &[&[&[&str]]] = &[
    &[
        &["created", "inserted", "registered"],
        &["updated", "modified", "changed", "last updated", "deleted", "archived"],
    ],
    &[
        &["ordered", "placed", "order", "purchased", "purchase"],
        &["shipped", "dispatched", "ship", "sent", "picked up"],
        &["delivered", "delivery", "received", "arrived"],
        &["returned", "refunded"],
    ],
    &[
        &[
            "start", "started", "starts", "begin", "began", "from", "opened", "check in", "hired", "issued",
            "since",
        ],
        &[
            "end",
            "ended",
            "ends",
            "finish",
            "finished",
            "to",
            "until",
            "till",
            "closed",
            "check out",
            "terminated",
            "left",
        ],
    ],
    &[&["valid from", "effective from"], &["valid to", "valid until", "effective to", "expires", "expired"]],
    &[&["issued", "invoice"], &["due"]],
];

/// Above these shares of rows, that is how the column is used.
const NEGATIVE_AT_MOST: f64 = 0.1;
const MISSING_AT_MOST: f64 = 0.05;
const DISORDER_AT_MOST: f64 = 0.1;

pub(super) fn checks(tables: &Tables<'_>) -> Vec<Check> {
    let of_table = |table| {
        let mut checks = Vec::new();
        for col in &table_columns(table) {
            checks.extend(negative(table, col));
            checks.extend(missing(table, col));
            checks.extend(blank(table, col));
            checks.extend(future(table, col));
        }
        checks.extend(disorder(table));
        checks
    };
    tables.all.iter().flat_map(of_table).collect()
}

fn table_columns<'t, 'a>(table: &'t Table<'a>) -> Vec<&'t Col<'a>> {
    // What is computed from other columns is as right as they are.
    table.columns.iter().filter(|col| col.column.generated.as_deref().is_none_or(str::is_empty)).collect()
}

fn check(table: &Table<'_>, about: About, condition: String, at_most: f64) -> Check {
    let name = format!("{}.{}", table.name().schema, table.name().name);
    let about =
        about.evidence(format!("nothing in the schema of `{name}` says so; names and the other rows do"));
    Check::Row(RowCheck { about, condition, belief: Belief::AtMost(at_most), beside: Vec::new() })
}

fn negative(table: &Table<'_>, col: &Col<'_>) -> Option<Check> {
    let name = &col.column.name;
    let is_counted = has_any(&col.words, COUNTED) && !has_any(&col.words, DIFFERENCES);
    if !col.family.is_number() || !is_counted || has_any(&table.stem, BOOKS) {
        return None;
    }
    let about =
        About::new("negative-value", Severity::High, table.name(), format!("have a negative `{name}`"));
    let zero = if col.family == Family::Money { "0::money" } else { "0" };
    let condition = format!("t.{} < {zero}", quote::identifier(name));
    Some(check(table, about.columns([name]).confidence(Confidence::Likely), condition, NEGATIVE_AT_MOST))
}

fn missing(table: &Table<'_>, col: &Col<'_>) -> Option<Check> {
    let name = &col.column.name;
    if col.column.is_not_null || !is_critical(table, col) {
        return None;
    }
    let about =
        About::new("value-missing", Severity::Medium, table.name(), format!("have no `{name}` (NULL)"));
    let condition = format!("num_nulls(t.{}) > 0", quote::identifier(name));
    Some(check(table, about.columns([name]).confidence(Confidence::Likely), condition, MISSING_AT_MOST))
}

fn blank(table: &Table<'_>, col: &Col<'_>) -> Option<Check> {
    let name = &col.column.name;
    if col.family != Family::Text || !is_critical(table, col) {
        return None;
    }
    let about = About::new("value-blank", Severity::Medium, table.name(), format!("have a blank `{name}`"));
    let condition = format!("t.{} !~ '[^[:space:]]'", quote::identifier(name));
    Some(check(table, about.columns([name]).confidence(Confidence::Likely), condition, MISSING_AT_MOST))
}

fn is_critical(table: &Table<'_>, col: &Col<'_>) -> bool {
    // `product_name` in `products` is its name.
    let own = col.words.strip_prefix(table.stem.as_slice()).filter(|rest| !rest.is_empty());
    is_any(&col.words, CRITICAL) || own.is_some_and(|own| is_any(own, CRITICAL))
}

/// The words that say what happened: `order_date` and `ordered_at` without what says that it is a time.
fn event(col: &Col<'_>) -> Vec<String> {
    let is_time = |word: &String| {
        ["at", "on", "date", "time", "ts", "timestamp", "datetime", "day", "dt", "utc"]
            .contains(&word.as_str())
    };
    let words: Vec<String> = col.words.iter().filter(|word| !is_time(word)).cloned().collect();
    if words.is_empty() { col.words.clone() } else { words }
}

fn future(table: &Table<'_>, col: &Col<'_>) -> Option<Check> {
    let name = &col.column.name;
    let event = event(col);
    let is_past =
        is_any(&event, PAST) || event.last().is_some_and(|last| PAST[..14].contains(&last.as_str()));
    // A plan says what is to be, also by words such as `ordered`.
    let is_plan =
        has_any(&event, &["planned", "expected", "scheduled", "estimated", "due", "next", "promised"]);
    if !col.family.is_time() || !is_past || is_plan {
        return None;
    }
    let column = quote::identifier(name);
    let condition = match col.family {
        // Without a zone, "now" may be up to 14 hours away.
        Family::Date => format!("t.{column} > current_date + 1"),
        Family::Timestamp => format!("t.{column} > localtimestamp + interval '14 hours'"),
        _ => format!("t.{column} > now() + interval '5 minutes'"),
    };
    let says = format!("have `{name}` in the future");
    let about = About::new("time-in-future", Severity::Medium, table.name(), says);
    Some(check(table, about.columns([name]).confidence(Confidence::Likely), condition, DISORDER_AT_MOST))
}

/// Pairs of times that belong together, each of which is checked once.
fn disorder(table: &Table<'_>) -> Vec<Check> {
    let times: Vec<&Col<'_>> = table.columns.iter().filter(|col| col.family.is_time()).collect();
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut checks = Vec::new();
    for early in &times {
        for late in &times {
            let pair = (early.column.name.clone(), late.column.name.clone());
            if early.column.name != late.column.name && is_before(early, late) && !pairs.contains(&pair) {
                checks.push(out_of_order(table, early, late));
                pairs.push(pair);
            }
        }
    }
    checks
}

fn is_before(early: &Col<'_>, late: &Col<'_>) -> bool {
    let (one, other) = (event(early), event(late));
    let place = |chain: &[&[&str]], event: &[String]| chain.iter().position(|step| is_any(event, step));
    let ordered = |one: &[String], other: &[String]| {
        CHAINS.iter().any(|chain| match (place(chain, one), place(chain, other)) {
            (Some(first), Some(second)) => first < second,
            _ => false,
        })
    };
    // `trial_start` goes with `trial_end`, and not with `contract_end`.
    let rest = |words: &[String]| words[..words.len() - 1].to_vec();
    let last = |words: &[String]| words[words.len() - 1..].to_vec();
    let is_like_start = |words: &[String]| CHAINS[2].iter().any(|step| is_any(words, step));
    ordered(&one, &other)
        || one.len() > 1
            && rest(&one) == rest(&other)
            && is_like_start(&last(&one))
            && ordered(&last(&one), &last(&other))
        || one.len() > 1
            && other.len() > 1
            && one[1..] == other[1..]
            && is_like_start(&one[..1])
            && ordered(&one[..1], &other[..1])
}

fn out_of_order(table: &Table<'_>, early: &Col<'_>, late: &Col<'_>) -> Check {
    let (first, second) = (&early.column.name, &late.column.name);
    let (a, b) = (quote::identifier(first), quote::identifier(second));
    let condition = match (early.family, late.family) {
        (one, other) if one == other => format!("t.{a} > t.{b}"),
        // A day has no time, and a time without a zone is known to a day only.
        (Family::Date, _) | (_, Family::Date) => {
            format!("t.{a}::timestamp::date > t.{b}::timestamp::date + 1")
        }
        _ => format!("t.{a}::timestamp > t.{b}::timestamp + interval '1 day'"),
    };
    let says = format!("have `{second}` before `{first}`");
    let about =
        About::new("times-out-of-order", Severity::Medium, table.name(), says).columns([first, second]);
    check(table, about.confidence(Confidence::Likely), condition, DISORDER_AT_MOST)
}

#[cfg(test)]
mod tests {
    use posthaste_base::catalog::{Catalog, Column, Name, Relation};

    use super::*;

    fn check(table: &str, columns: &[(&str, &str)], expected: &[&str]) {
        let column = |(name, type_name): &(&str, &str)| Column {
            name: (*name).into(),
            type_name: (*type_name).into(),
            ..Column::default()
        };
        let columns = columns.iter().map(column).collect();
        let relation = Relation { name: Name::new("public", table), columns, ..Relation::default() };
        let catalog = Catalog { relations: vec![relation], ..Catalog::default() };
        let said: Vec<String> =
            checks(&Tables::of(&catalog)).iter().map(|check| check.about().says.clone()).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn less_than_none_is_suspected_where_things_are_counted() {
        check(
            "products",
            &[("stockOnHand", "integer"), ("stock", "text"), ("price_change", "numeric")],
            &["have a negative `stockOnHand`", "have no `stock` (NULL)", "have a blank `stock`"],
        );
        check("account_transactions", &[("fee_amount", "numeric(10,2)")], &[]);
    }

    #[test]
    fn times_are_paired_by_what_happens() {
        let zoned = "timestamp with time zone";
        check(
            "subscriptions",
            &[
                ("trial_start", "date"),
                ("trial_end", "date"),
                ("contract_end", "date"),
                ("valid_from", zoned),
                ("valid_to", zoned),
            ],
            &["have `trial_end` before `trial_start`", "have `valid_to` before `valid_from`"],
        );
        check(
            "orders",
            &[("order_date", zoned), ("shipped_at", zoned), ("expected_delivery_date", "date")],
            &[
                "have no `order_date` (NULL)",
                "have `order_date` in the future",
                "have `shipped_at` in the future",
                "have `shipped_at` before `order_date`",
            ],
        );
        check("bookings", &[("StartsAt", zoned), ("EndsAt", zoned)], &["have `EndsAt` before `StartsAt`"]);
    }
}
