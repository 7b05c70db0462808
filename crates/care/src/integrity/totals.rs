//! Totals that should be the sum of their items, from names: which columns and which sum is found out by counting
//! how many rows agree (see `agreed`).

use posthaste_base::quote;
use posthaste_report::{Confidence, Severity};

use super::check::{About, Belief, Check, Link, RowCheck, TotalCheck};
use super::tables::{Col, Table, Tables};
use super::types::{self, Family};
use super::words::{has_any, is_any};

const TOTAL: &[&str] = &["total", "amount", "sum", "subtotal"];
const QUANTITY: &[&str] = &["quantity", "qty", "units", "pieces"];
const PRICE: &[&str] = &["price", "cost", "rate"];
const ADDED: &[&str] = &["shipping", "tax", "vat", "fee", "freight", "tip"];
const TAKEN: &[&str] = &["discount", "rebate"];

/// For each total, the sums that it may be; the one that agrees with most rows is the one.
pub(super) fn candidates(tables: &Tables<'_>, links: &[Link]) -> Vec<Vec<TotalCheck>> {
    let mut all = Vec::new();
    for link in links.iter().filter(|link| link.child != link.parent && !link.by_text) {
        let (Some(child), Some(parent)) = (tables.find(&link.child), tables.find(&link.parent)) else {
            continue;
        };
        let sums = item_sums(child);
        for total in parent.columns.iter().filter(|col| is_total(col)) {
            let found: Vec<TotalCheck> = sums
                .iter()
                .flat_map(|sum| added(parent, total).into_iter().map(move |added| (sum.clone(), added)))
                .map(|(sum, added)| candidate(parent, total, link, sum, added))
                .collect();
            if !found.is_empty() {
                all.push(found);
            }
        }
        let counts = parent.columns.iter().filter(|col| counts(col, child));
        all.extend(counts.map(|col| vec![candidate(parent, col, link, "1".into(), "0".into())]));
    }
    all
}

fn is_total(col: &Col<'_>) -> bool {
    col.family.is_number()
        && has_any(&col.words, TOTAL)
        && !has_any(&col.words, ADDED)
        && !has_any(&col.words, TAKEN)
}

/// `comment_count` or `num_comments` of what has comments.
fn counts(col: &Col<'_>, child: &Table<'_>) -> bool {
    let one = |word: &String| super::words::singular(word);
    let words: Vec<String> = col.words.iter().map(one).collect();
    let last = &child.stem[child.stem.len().saturating_sub(1)..];
    let is_of_child = |rest: &[String]| rest == child.stem.as_slice() || rest == last;
    let is_count = match words.as_slice() {
        [rest @ .., last] if last == "count" || last == "total" => is_of_child(rest),
        [first, rest @ ..] if first == "num" || first == "total" => is_of_child(rest),
        _ => false,
    };
    col.family == Family::Integer && is_count
}

/// The sums over items, in terms of `c`.
fn item_sums(child: &Table<'_>) -> Vec<String> {
    let numbers = || child.columns.iter().filter(|col| col.family.is_number());
    let quoted = |col: &Col<'_>| {
        let cast = if col.family == Family::Money { "::numeric" } else { "" };
        format!("c.{}{cast}", quote::identifier(&col.column.name))
    };
    let prices: Vec<&Col<'_>> =
        numbers().filter(|col| has_any(&col.words, PRICE) && !has_any(&col.words, TOTAL)).collect();
    let mut sums = Vec::new();
    for quantity in numbers().filter(|col| has_any(&col.words, QUANTITY)) {
        for price in &prices {
            let product = format!("{} * {}", quoted(quantity), quoted(price));
            for discount in numbers().filter(|col| has_any(&col.words, TAKEN)) {
                sums.push(format!("{product} - coalesce({}, 0)", quoted(discount)));
            }
            sums.push(product);
        }
    }
    sums.extend(numbers().filter(|col| has_any(&col.words, TOTAL)).map(quoted));
    sums.extend(prices.iter().copied().map(quoted));
    sums
}

/// What the parent itself adds to the sum: all of it, or nothing.
fn added(parent: &Table<'_>, total: &Col<'_>) -> Vec<String> {
    let term =
        |sign: &str, col: &Col<'_>| format!(" {sign} coalesce(t.{}, 0)", quote::identifier(&col.column.name));
    let is_other = |col: &&Col<'_>| col.family.is_number() && col.column.name != total.column.name;
    let is_rate = |col: &&Col<'_>| has_any(&col.words, &["rate", "percent", "pct", "id"]);
    let others = || parent.columns.iter().filter(is_other).filter(|col| !is_rate(col));
    let mut terms: Vec<String> =
        others().filter(|col| has_any(&col.words, ADDED)).map(|col| term("+", col)).collect();
    terms.extend(others().filter(|col| has_any(&col.words, TAKEN)).map(|col| term("-", col)));
    let mut all = vec!["0".to_owned()];
    if !terms.is_empty() {
        all.push(format!("0{}", terms.concat()));
    }
    all
}

fn candidate(parent: &Table<'_>, total: &Col<'_>, link: &Link, item: String, added: String) -> TotalCheck {
    let name = &total.column.name;
    let shown = item.replace("c.", "");
    let says = match item.as_str() {
        "1" => format!(
            "have a `{name}` that is not the number of their rows in `{}.{}`",
            link.child.schema, link.child.name
        ),
        _ => format!(
            "have a `{name}` that is not the sum of `{shown}` in `{}.{}`",
            link.child.schema, link.child.name
        ),
    };
    let about = About::new("total-differs", Severity::High, parent.name(), says).columns([name]);
    let scale = if item == "1" { 0 } else { types::scale(&total.column.type_name).unwrap_or(2) };
    let plus = if added == "0" {
        String::new()
    } else {
        format!(" plus `{}`", added.trim_start_matches("0 + ").replace("t.", ""))
    };
    TotalCheck {
        about: about
            .confidence(Confidence::Likely)
            .evidence(format!("compared with the sum of `{shown}`{plus}, rounded to {scale} digits")),
        link: link.clone(),
        total: name.clone(),
        item,
        added,
        scale,
        can_be_parted: link
            .parent_columns
            .iter()
            .all(|name| parent.column(name).is_some_and(Col::is_equal_as_text)),
    }
}

/// Totals of an order that are nothing, or less: an order that was paid for has one.
pub(super) fn not_positive(check: &TotalCheck, table: &Table<'_>) -> Option<Check> {
    let col = table.column(&check.total)?;
    if check.item == "1"
        || !is_any(
            &col.words,
            &["total", "total amount", "grand total", "order total", "amount", "total price"],
        )
    {
        return None;
    }
    let column = quote::identifier(&check.total);
    let says = format!("have a `{}` of nothing or less", check.total);
    let about =
        About::new("total-not-positive", Severity::Medium, table.name(), says).columns([&check.total]);
    Some(Check::Row(RowCheck {
        about: about.confidence(Confidence::Possible),
        condition: format!("t.{column} <= 0"),
        belief: Belief::AtMost(0.1),
        beside: vec![("negative", format!("t.{column} < 0")), ("zero", format!("t.{column} = 0"))],
    }))
}

/// The total of one item against what it is made of, within its row.
pub(super) fn of_items(tables: &Tables<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    for table in &tables.all {
        let own = |known: &[&str]| {
            let is = |col: &&Col<'_>| {
                col.family.is_number() && has_any(&col.words, known) && !has_any(&col.words, TAKEN)
            };
            table.columns.iter().filter(is).collect::<Vec<_>>()
        };
        let (quantities, prices, totals) = (own(QUANTITY), own(PRICE), own(TOTAL));
        let prices: Vec<_> = prices.into_iter().filter(|col| !has_any(&col.words, TOTAL)).collect();
        let ([quantity], [price], [total]) = (quantities.as_slice(), prices.as_slice(), totals.as_slice())
        else {
            continue;
        };
        if total.column.generated.as_deref().is_some_and(|kind| !kind.is_empty()) {
            continue;
        }
        let name = |col: &Col<'_>| quote::identifier(&col.column.name);
        let scale = types::scale(&total.column.type_name).unwrap_or(2);
        let product = format!("round((t.{} * t.{})::numeric, {scale})", name(quantity), name(price));
        let says = format!(
            "have a `{}` that is not `{}` times `{}`",
            total.column.name, quantity.column.name, price.column.name
        );
        let about = About::new("total-differs", Severity::High, table.name(), says);
        checks.push(Check::Row(RowCheck {
            about: about.columns([&total.column.name]).confidence(Confidence::Likely),
            condition: format!("round(t.{}::numeric, {scale}) is distinct from {product}", name(total)),
            belief: Belief::AtMost(0.3),
            beside: Vec::new(),
        }));
    }
    checks
}
