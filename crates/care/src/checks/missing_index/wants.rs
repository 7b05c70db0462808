//! What a plan says that it lacks: columns by which it filters, joins or sorts a table that it reads from end to end.
//!
//! Conservative: a condition that is not plainly a column against a value is left alone. Not for: whether an index for
//! it would be used (see `prove`).

use crate::doctor::plan_reading::Node;

/// An index that a plan would have use for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Want {
    pub schema: String,
    pub table: String,
    /// Compared for equality: columns, or expressions as PostgreSQL writes them.
    pub equal: Vec<Part>,
    /// What comes after them: a column of a range, or those of an order.
    pub range: Option<String>,
    pub sort: Vec<(String, String)>,
    /// Searched for a pattern that may begin with anything.
    pub pattern: Option<Pattern>,
    pub is_join: bool,
    /// Rows that the scan gives, as the planner thinks.
    pub rows: f64,
    /// Only the first few of the order are asked for.
    pub is_limited: bool,
    pub condition: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Column(String),
    Expression(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    pub column: String,
    /// The pattern as far as it is known; statements are counted without their values.
    pub text: String,
    pub ignores_case: bool,
}

#[derive(Clone, Copy, Default)]
struct Above<'a> {
    sort: Option<Node<'a>>,
    is_limited: bool,
}

pub(super) fn wants(top: Node<'_>) -> Vec<Want> {
    let mut found = Vec::new();
    visit(top, Above::default(), &mut found);
    found
}

fn visit<'a>(node: Node<'a>, above: Above<'a>, found: &mut Vec<Want>) {
    let kind = node.kind();
    if kind == "Seq Scan" {
        found.extend(of_scan(node, above));
        return;
    }
    if matches!(kind, "Hash Join" | "Merge Join" | "Nested Loop") {
        found.extend(of_join(node));
    }
    let below = match kind {
        "Limit" => Above { is_limited: true, ..above },
        "Sort" => Above { sort: Some(node), is_limited: above.is_limited },
        // They give what they get, in its order; what is computed for the few rows of a LIMIT makes a Result of its own.
        "Gather" | "Gather Merge" | "LockRows" | "Result" => above,
        _ => Above::default(),
    };
    for child in node.children() {
        visit(child, below, found);
    }
}

fn named(scan: Node<'_>) -> Option<(Want, String)> {
    let table = scan.text("Relation Name")?.to_owned();
    let want = Want {
        schema: scan.text("Schema")?.to_owned(),
        rows: scan.number("Plan Rows").unwrap_or_default(),
        table: table.clone(),
        ..Want::default()
    };
    Some((want, scan.text("Alias").map_or(table, str::to_owned)))
}

fn of_scan(scan: Node<'_>, above: Above<'_>) -> Option<Want> {
    let (mut want, alias) = named(scan)?;
    let filter = scan.text("Filter").unwrap_or_default();
    want.condition = filter.to_owned();
    for condition in conjuncts(filter) {
        match condition_of(condition, &alias) {
            Some(Condition::Equal(part)) if !want.equal.contains(&part) => want.equal.push(part),
            Some(Condition::Equal(_)) => {}
            Some(Condition::Range(column)) => want.range = want.range.or(Some(column)),
            Some(Condition::Pattern(pattern)) => want.pattern = want.pattern.or(Some(pattern)),
            None => {}
        }
    }
    if let Some(sort) = above.sort {
        let keys: Option<Vec<_>> =
            sort.texts("Sort Key").into_iter().map(|key| sort_key(key, &alias)).collect();
        // An order is only of use when it spares reading the rest.
        if above.is_limited {
            want.sort = keys.unwrap_or_default();
            want.is_limited = !want.sort.is_empty();
        }
    }
    // An order after a range is none any more.
    if !want.sort.is_empty() {
        want.range = None;
    }
    let is_something =
        !want.equal.is_empty() || want.range.is_some() || !want.sort.is_empty() || want.pattern.is_some();
    is_something.then_some(want)
}

/// The side of a join that is read whole although the other side gives few rows.
fn of_join(join: Node<'_>) -> Vec<Want> {
    let condition = ["Hash Cond", "Merge Cond", "Join Filter"].iter().find_map(|key| join.text(key));
    let sides: Vec<Node<'_>> = join.children().collect();
    let (Some(condition), [left, right]) = (condition, sides.as_slice()) else { return Vec::new() };
    let mut found = Vec::new();
    for (side, other) in [(left, right), (right, left)] {
        let Some(scan) = scan_below(*side).filter(|scan| scan.text("Filter").is_none()) else { continue };
        let Some((mut want, alias)) = named(scan) else { continue };
        let (read, given) = (want.rows, other.number("Plan Rows").unwrap_or_default());
        if given * 20.0 > read {
            continue;
        }
        want.condition = condition.to_owned();
        want.is_join = true;
        want.equal = conjuncts(condition).into_iter().filter_map(|one| join_column(one, &alias)).collect();
        want.rows = join.number("Plan Rows").unwrap_or_default();
        if !want.equal.is_empty() {
            found.push(want);
        }
    }
    found
}

fn scan_below(node: Node<'_>) -> Option<Node<'_>> {
    match node.kind() {
        "Seq Scan" => Some(node),
        "Hash" | "Sort" | "Materialize" => scan_below(node.children().next()?),
        _ => None,
    }
}

enum Condition {
    Equal(Part),
    Range(String),
    Pattern(Pattern),
}

fn condition_of(text: &str, alias: &str) -> Option<Condition> {
    let text = bare(text);
    if let Some(column) = text.strip_suffix(" IS NULL").and_then(|left| column(left, alias)) {
        return Some(Condition::Equal(Part::Column(column)));
    }
    let (left, operator, right) = split(text)?;
    // The other side must not depend on the row.
    if mentions(right, alias) || right.contains("SubPlan") || right.contains("hashed") {
        return None;
    }
    let name = column(left, alias);
    match operator {
        "=" => Some(Condition::Equal(match name {
            Some(name) => Part::Column(name),
            None => Part::Expression(expression(left, alias)?),
        })),
        "<" | ">" | "<=" | ">=" => name.map(Condition::Range),
        "~~" | "~~*" => {
            let known = right.trim_matches(|c| c == '(' || c == ')').split("'::").next().unwrap_or(right);
            let text = known.trim_matches('\'').to_owned();
            // A pattern that begins with letters is a range of a b-tree, in the right collation.
            let is_open = text.starts_with(['%', '_', '$', '(']) || operator == "~~*" || right.contains('$');
            let column = name.filter(|_| is_open)?;
            Some(Condition::Pattern(Pattern { column, text, ignores_case: operator == "~~*" }))
        }
        _ => None,
    }
}

fn join_column(text: &str, alias: &str) -> Option<Part> {
    let (left, operator, right) = split(bare(text))?;
    if operator != "=" {
        return None;
    }
    match (column(left, alias), column(right, alias)) {
        (Some(name), None) if !mentions(right, alias) => Some(Part::Column(name)),
        (None, Some(name)) if !mentions(left, alias) => Some(Part::Column(name)),
        _ => None,
    }
}

/// `o.created_at DESC` as its column and what follows it.
fn sort_key(text: &str, alias: &str) -> Option<(String, String)> {
    let at =
        [" DESC", " ASC", " NULLS", " USING", " COLLATE"].iter().filter_map(|word| text.find(word)).min();
    let (left, order) = text.split_at(at.unwrap_or(text.len()));
    if order.contains("USING") || order.contains("COLLATE") {
        return None;
    }
    Some((column(left, alias)?, order.trim().to_lowercase()))
}

/// The parts of a condition between AND, at its top.
fn conjuncts(text: &str) -> Vec<&str> {
    let inner = bare(text);
    if top_level(inner, " OR ").len() > 1 {
        return Vec::new();
    }
    top_level(inner, " AND ")
}

/// Without brackets around the whole.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else { return text };
    let mut depth = 0_i32;
    for (_, c) in outside_quotes(inner) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return text;
        }
    }
    if depth == 0 { bare(inner) } else { text }
}

/// Characters that are not inside of a literal or a quoted name.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    text.char_indices().filter(move |(_, c)| match (quote, c) {
        (None, '\'' | '"') => {
            quote = Some(*c);
            false
        }
        (Some(open), c) => {
            if open == *c {
                quote = None;
            }
            false
        }
        _ => true,
    })
}

fn top_level<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in outside_quotes(text) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 && at >= start && text[at..].starts_with(word) {
            parts.push(&text[start..at]);
            start = at + word.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

const OPERATORS: &[&str] = &["~~*", "!~~", "~~", ">=", "<=", "<>", "=", "<", ">"];

fn split(text: &str) -> Option<(&str, &str, &str)> {
    let mut depth = 0_i32;
    for (at, c) in outside_quotes(text) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth != 0 || c != ' ' {
            continue;
        }
        let rest = &text[at + 1..];
        let found = OPERATORS
            .iter()
            .find(|operator| rest.strip_prefix(**operator).is_some_and(|after| after.starts_with(' ')));
        if let Some(operator) = found {
            return Some((&text[..at], operator, rest[operator.len()..].trim()));
        }
    }
    None
}

fn mentions(text: &str, alias: &str) -> bool {
    let quoted = posthaste_base::quote::identifier(alias);
    text.contains(&format!("{alias}.")) || text.contains(&format!("{quoted}."))
}

/// The column's real name, when that is all there is: casts that change no order are looked through.
fn column(text: &str, alias: &str) -> Option<String> {
    let mut text = bare(text);
    for cast in ["::text", "::character varying", "::bpchar"] {
        if let Some(inner) = text.strip_suffix(cast) {
            text = bare(inner);
        }
    }
    let quoted = posthaste_base::quote::identifier(alias);
    let name = text.strip_prefix(&format!("{quoted}."))?;
    match name.strip_prefix('"') {
        Some(rest) => {
            let inner = rest.strip_suffix('"')?;
            let is_whole = !inner.replace("\"\"", "").contains('"');
            is_whole.then(|| inner.replace("\"\"", "\""))
        }
        None => {
            let is_plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
            (is_plain && !name.is_empty()).then(|| name.to_owned())
        }
    }
}

/// A function of one column of this table alone, which an index can be over: `lower(email)`.
fn expression(text: &str, alias: &str) -> Option<String> {
    let text = bare(text);
    let quoted = posthaste_base::quote::identifier(alias);
    let inner = text.strip_suffix(')')?;
    let function = ["lower(", "upper("].iter().find(|function| inner.starts_with(**function))?;
    let name = column(&inner[function.len()..], alias)?;
    let own = text.replace(&format!("{quoted}."), "");
    own.contains(&posthaste_base::quote::identifier(&name)).then_some(own)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn scan(filter: &str) -> Value {
        json!({"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "orders", "Alias": "o",
            "Plan Rows": 10, "Filter": filter})
    }

    fn one(plan: &Value) -> Option<Want> {
        wants(Node(plan)).into_iter().next()
    }

    fn check(filter: &str, equal: &[&str], range: Option<&str>) {
        let want = one(&scan(filter)).unwrap_or_default();
        let said: Vec<String> = want
            .equal
            .iter()
            .map(|part| match part {
                Part::Column(name) => name.clone(),
                Part::Expression(text) => format!("({text})"),
            })
            .collect();
        assert_eq!(
            (said, want.range.as_deref()),
            (equal.iter().map(|s| (*s).to_owned()).collect(), range),
            "{filter}"
        );
    }

    #[test]
    fn plain_conditions_are_read_and_others_left_alone() {
        check("(o.customer_id = $1)", &["customer_id"], None);
        check("((o.customer_id = $1) AND (o.created_at > $2))", &["customer_id"], Some("created_at"));
        check("((o.status)::text = $1)", &["status"], None);
        check("((o.status)::text = ANY ($1))", &["status"], None);
        check("(o.\"Order Nr\" = 5)", &["Order Nr"], None);
        check("(o.deleted_at IS NULL)", &["deleted_at"], None);
        check("((o.a = $1) OR (o.b = $2))", &[], None);
        check("(lower(o.email) = $1)", &["(lower(email))"], None);
        check("(o.a = o.b)", &[], None);
        check("(o.a <> $1)", &[], None);
        check("((o.note = ' AND (x = 1'::text) AND (o.a = 1))", &["note", "a"], None);
        check("((o.a + 1) = $1)", &[], None);
    }

    #[test]
    fn patterns_are_told_from_beginnings() {
        let pattern = |filter: &str| one(&scan(filter)).and_then(|want| want.pattern);
        let found = pattern("((o.name)::text ~~ '%laptop%'::text)").unwrap();
        assert_eq!(
            (found.column.as_str(), found.text.as_str(), found.ignores_case),
            ("name", "%laptop%", false)
        );
        assert!(pattern("(o.name ~~* $1)").unwrap().ignores_case);
        assert_eq!(pattern("(o.name ~~ 'laptop%'::text)"), None);
    }

    #[test]
    fn an_order_counts_when_only_its_beginning_is_asked_for() {
        let sort = json!({"Node Type": "Sort", "Sort Key": ["o.created_at DESC", "o.id"],
            "Plans": [scan("(o.status = $1)")]});
        let limit = json!({"Node Type": "Limit", "Plans": [sort]});
        let want = one(&limit).unwrap();
        assert_eq!(want.sort, [("created_at".into(), "desc".into()), ("id".into(), String::new())]);
        assert_eq!(one(&sort).unwrap().sort, []);
        // What is computed for the first rows alone comes after the order.
        let computed = json!({"Node Type": "Limit", "Plans": [{"Node Type": "Result", "Plans": [sort]}]});
        assert_eq!(one(&computed).unwrap().sort, want.sort);
    }

    #[test]
    fn the_large_side_of_a_join_lacks_its_column() {
        let large = json!({"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "items", "Alias": "i",
            "Plan Rows": 500_000});
        let small = json!({"Node Type": "Index Scan", "Schema": "public", "Relation Name": "orders", "Alias": "o",
            "Plan Rows": 1});
        let join = json!({"Node Type": "Hash Join", "Hash Cond": "(i.order_id = o.id)", "Plan Rows": 5,
            "Plans": [large, {"Node Type": "Hash", "Plan Rows": 1, "Plans": [small]}]});
        let want = one(&join).unwrap();
        assert_eq!((want.table.as_str(), want.equal), ("items", vec![Part::Column("order_id".into())]));
        assert!(want.is_join);
    }
}
