//! Indexes that the statements which run would use: from their plans, proven by HypoPG where it is, else by estimate.
//!
//! Nothing runs: plans are asked for with unknown parameters, and not at all while anybody holds or wants a table for
//! himself. Not for: scans that nobody knows a statement for.

mod prove;
mod wants;

use std::collections::BTreeMap;

use futures::future::FutureExt as _;
use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Finding, Severity, Step};
use serde::Deserialize;

use self::prove::{Planner, Proof};
use self::wants::{Part, Want};
use super::statements::{self, Kind, SQL, Statement};
use crate::doctor::plan_reading::Node;
use crate::doctor::remedy::{self, Leaf, NewIndex, On};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Told, Unseen, Visitor, counted, duration, shortened, table,
};

/// Statements whose plans are asked for: those that take most, and those that take longest.
const STATEMENTS_MAX: usize = 40;
const MEAN_MS_MIN: f64 = 1.0;

pub(crate) const CHECK: Check = Check {
    code: "missing-index",
    title: "indexes that the statements which run would use",
    needs: Needs {
        extension: Some("pg_stat_statements"),
        hidden: Some("the texts of other roles' statements are hidden"),
        ..Needs::NOTHING
    },
    judge: Judge::Visit(|visitor, facts| look(visitor, facts).boxed()),
};

#[derive(Clone, Debug, Deserialize)]
struct Table {
    kind: String,
    pages: i64,
    tuples: f64,
    writes: i64,
    is_locked: bool,
    types: BTreeMap<String, String>,
    indexes: Vec<Existing>,
    taken_names: Vec<String>,
    parent: Option<Parent>,
    partitions: Vec<Partition>,
}

#[derive(Clone, Debug, Deserialize)]
struct Existing {
    method: String,
    is_whole: bool,
    classes: Option<Vec<String>>,
    columns: Option<Vec<Option<String>>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parent {
    schema: String,
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Partition {
    oid: i64,
    schema: String,
    name: String,
    kind: String,
    pages: i64,
}

/// One index with every statement that would use it.
struct Proposal {
    name: Name,
    on: Table,
    new: NewIndex,
    columns: Vec<String>,
    want: Want,
    proof: Proof,
    statements: Vec<Statement>,
}

async fn look(visitor: &Visitor, facts: &Facts) -> Result<Outcome, Unseen> {
    if !facts.exclusively_locked.is_empty() {
        return Err(Unseen::new(
            "somebody holds a table exclusively, or waits to: plans are not asked for, since that would join the queue",
        ));
    }
    let view = super::statements_view(facts).ok_or_else(|| Unseen::new("the extension is gone"))?;
    let rows = visitor.rows(&SQL.replace("{view}", &view)).await?;
    let (all, _) = statements::of_application(&rows, facts)?;
    let chosen = chosen(all);
    let planner = Planner::new(visitor, facts).await?;
    let mut outcome = Outcome::default();
    let (mut proposals, mut withheld, mut unplanned): (Vec<Proposal>, Vec<String>, usize) =
        (vec![], vec![], 0);
    for statement in &chosen {
        let Ok(plan) = planner.plan(statement.text()).await else {
            unplanned += 1;
            continue;
        };
        let Some(top) = Node::top(&plan) else { continue };
        for want in wants::wants(top) {
            match propose(visitor, &planner, facts, statement, want, top).await {
                Ok(Some(proposal)) => merge(&mut proposals, proposal),
                Ok(None) => {}
                Err(why) => withheld.push(why),
            }
        }
    }
    planner.close().await;
    let heads: Vec<bool> = proposals.iter().map(|one| is_head_of_another(one, &proposals)).collect();
    let kept = proposals.iter().zip(heads).filter(|(_, is_head)| !is_head);
    outcome.findings = kept.map(|(one, _)| finding(one, facts)).collect();
    outcome.line = format!(
        "the plans of {} ask for {}",
        counted(chosen.len() - unplanned, "statement"),
        counted(outcome.findings.len(), "index")
    );
    if unplanned > 0 {
        let them = counted(unplanned, "statement");
        outcome
            .skipped
            .push(format!("the plans of {them}: without their values, the server could not read them"));
    }
    withheld.sort();
    withheld.dedup();
    outcome.skipped.extend(withheld);
    Ok(outcome)
}

fn chosen(all: Vec<Statement>) -> Vec<Statement> {
    let is_asked = |one: &Statement| {
        let text = one.text();
        one.mean_ms() >= MEAN_MS_MIN
            && text.len() < statements::TEXT_MAX
            && !text.contains(';')
            && (one.kind() == Kind::Select || !text.to_lowercase().trim_start().starts_with("insert"))
    };
    let mut asked: Vec<Statement> = all.into_iter().filter(is_asked).collect();
    let mut by_mean: Vec<(usize, f64)> = asked.iter().map(Statement::mean_ms).enumerate().collect();
    by_mean.sort_by(|a, b| b.1.total_cmp(&a.1));
    let longest: Vec<usize> = by_mean.into_iter().take(STATEMENTS_MAX / 2).map(|(place, _)| place).collect();
    let mut place = 0;
    asked.retain(|_| {
        place += 1;
        place <= STATEMENTS_MAX / 2 || longest.contains(&(place - 1))
    });
    asked
}

/// An index for what a plan lacks, if none is there and this one would help; or why that cannot be said.
async fn propose(
    visitor: &Visitor,
    planner: &Planner<'_>,
    facts: &Facts,
    statement: &Statement,
    want: Want,
    top: Node<'_>,
) -> Result<Option<Proposal>, String> {
    let mut name = Name::new(want.schema.as_str(), want.table.as_str());
    let mut on = table_of(visitor, &name).await?;
    let rows = on.tuples;
    // A partition's index belongs to its parent's.
    if let Some(parent) = &on.parent {
        name = Name::new(parent.schema.as_str(), parent.name.as_str());
        on = table_of(visitor, &name).await?;
    }
    if rows < 0.0 {
        return Err(format!("an index of {}: its rows were never counted", name.quoted()));
    }
    if on.is_locked || rows < facts.thresholds.table_rows_min {
        return Ok(None);
    }
    let Some((new, columns)) = new_index(&want, &on, facts) else { return Ok(None) };
    if is_there(&on, &new, &columns) {
        return Ok(None);
    }
    let proof = planner.prove(statement.text(), top, &name, &on.kind, &new, &want, rows).await;
    if proof.is_refuted() {
        return Ok(None);
    }
    Ok(Some(Proposal { name, on, new, columns, want, proof, statements: vec![statement.clone()] }))
}

async fn table_of(visitor: &Visitor, name: &Name) -> Result<Table, String> {
    let sql = include_str!("../../sql/doctor/candidate_table.sql");
    let rows = visitor.rows_with(sql, &[&name.schema, &name.name]).await;
    rows.and_then(|rows| rows.one())
        .map_err(|unseen| format!("an index of {}: {}", name.quoted(), unseen.why))
}

/// Equal columns first, then the order or the range.
fn new_index(want: &Want, on: &Table, facts: &Facts) -> Option<(NewIndex, Vec<String>)> {
    if let (Some(pattern), true) = (&want.pattern, want.equal.is_empty()) {
        let kind = on.types.get(&pattern.column)?;
        if !(kind == "text" || kind.starts_with("character varying")) {
            return None;
        }
        let schema = facts.extension("pg_trgm").map_or("public", |found| found.schema.as_str());
        let key =
            format!("{} {}.gin_trgm_ops", quote::identifier(&pattern.column), quote::identifier(schema));
        let new = NewIndex { method: "gin".into(), keys: vec![key], predicate: None };
        return Some((new, vec![pattern.column.clone()]));
    }
    let (mut keys, mut columns) = (Vec::new(), Vec::new());
    for part in &want.equal {
        match part {
            Part::Column(name) => {
                keys.push(quote::identifier(name));
                columns.push(name.clone());
            }
            Part::Expression(text) => {
                keys.push(format!("({text})"));
                columns.push(text.clone());
            }
        }
    }
    let ordered = want.sort.iter().map(|(name, order)| (name, order.as_str()));
    for (name, order) in ordered.chain(want.range.iter().map(|name| (name, ""))) {
        if !columns.contains(name) {
            keys.push(format!("{} {order}", quote::identifier(name)).trim_end().to_owned());
            columns.push(name.clone());
        }
    }
    // What a b-tree cannot order, it cannot find.
    let is_plain = |name: &String| {
        on.types.get(name).is_none_or(|kind| !["json", "xml", "point"].contains(&kind.as_str()))
    };
    let is_short = (1..=4).contains(&keys.len());
    (is_short && columns.iter().all(is_plain))
        .then(|| (NewIndex { method: "btree".into(), keys, predicate: None }, columns))
}

/// Whether an index with the same columns at its head is there already: then the planner chose not to use it.
fn is_there(on: &Table, new: &NewIndex, columns: &[String]) -> bool {
    on.indexes.iter().any(|one| {
        let names: Vec<&str> =
            one.columns.iter().flatten().map(|name| name.as_deref().unwrap_or_default()).collect();
        if new.method == "gin" {
            let classes = one.classes.iter().flatten();
            let mut pairs = names.iter().zip(classes);
            return pairs.any(|(name, class)| *name == columns[0] && class.contains("trgm"));
        }
        let head = names.get(..columns.len());
        one.is_whole
            && one.method == new.method
            && head.is_some_and(|head| columns.iter().all(|column| head.contains(&column.as_str())))
    })
}

fn merge(proposals: &mut Vec<Proposal>, proposal: Proposal) {
    let same =
        proposals.iter_mut().find(|one| one.name == proposal.name && one.new.keys == proposal.new.keys);
    match same {
        Some(one) => one.statements.extend(proposal.statements),
        None => proposals.push(proposal),
    }
}

fn is_head_of_another(one: &Proposal, all: &[Proposal]) -> bool {
    all.iter().any(|other| {
        other.name == one.name
            && other.new.method == one.new.method
            && other.new.keys.len() > one.new.keys.len()
            && other.new.keys.starts_with(&one.new.keys)
    })
}

fn finding(one: &Proposal, facts: &Facts) -> Finding {
    let total_ms: f64 = one.statements.iter().map(|statement| statement.total_ms).sum();
    let mean_ms = one.statements.iter().map(Statement::mean_ms).fold(0.0, f64::max);
    let severity = match mean_ms {
        mean_ms if mean_ms >= facts.thresholds.slow_mean_ms => Severity::High,
        mean_ms if mean_ms >= 0.1 * facts.thresholds.slow_mean_ms => Severity::Medium,
        _ => Severity::Low,
    };
    let columns = one.columns.join(", ");
    let kind = if one.new.method == "gin" { "a trigram index" } else { "an index" };
    let message = format!(
        "{} all {} of {} each time, up to {}: {kind} on ({columns}) would spare it",
        match one.statements.len() {
            1 => "1 statement reads".to_owned(),
            many => format!("{many} statements read"),
        },
        counted(one.on.tuples as i64, "row"),
        one.name.name,
        duration(mean_ms / 1_000.0)
    );
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(table(&one.name.schema, &one.name.name))
        .count("statements", one.statements.len() as i64)
        .count("total_ms", total_ms as i64)
        .count("mean_ms", mean_ms as i64)
        .count("rows", one.on.tuples as i64)
        .sure(one.proof.confidence())
        .evidence(format!("the plan's condition: {}", shortened(&one.want.condition, 200)))
        .evidence(one.proof.words());
    for statement in one.statements.iter().take(3) {
        finding = finding.evidence_aged(shortened(statement.text(), 200), facts.counters_age_s);
    }
    finding = finding.evidence_aged(
        format!(
            "{} there already, and {} to the table pay for each",
            counted(one.on.indexes.len(), "index"),
            counted(one.on.writes, "write")
        ),
        facts.counters_age_s,
    );
    if let Some(pattern) = &one.want.pattern {
        finding = finding.evidence(if pattern.text.starts_with('$') {
            "its pattern is not known: one that begins with % is found by trigrams alone, and an ordinary index on the \
             column would not be used"
        } else {
            "a pattern that begins with % is found by trigrams alone; an ordinary index on the column would not be used"
        });
        if pattern.ignores_case {
            finding = finding.evidence("trigrams find both cases");
        }
    }
    finding.object.columns = one.columns.clone();
    finding.remedy("build it beside the writes, then see that the statement is quicker", steps(one, facts))
}

fn steps(one: &Proposal, facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    if one.new.method == "gin" && facts.extension("pg_trgm").is_none() {
        steps.push(remedy::create_trigram_extension());
    }
    let on = On { name: one.name.clone(), pages: one.on.pages, rows: Some(one.on.tuples) };
    let plain: Vec<String> = one
        .columns
        .iter()
        .map(|name| name.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect();
    let suffix = if one.new.method == "gin" { "trgm_idx" } else { "idx" };
    let name = remedy::new_name(&one.name.name, &plain, suffix, &one.on.taken_names);
    let is_partitioned = one.on.kind == "p";
    // Partitions below partitions need indexes of their own kind first: that is a plan for a person.
    if is_partitioned && one.on.partitions.iter().any(|leaf| leaf.kind != "r") {
        return Vec::new();
    }
    let leaf = |part: &Partition| Leaf {
        name: Name::new(part.schema.as_str(), part.name.as_str()),
        oid: part.oid,
        pages: part.pages,
        taken: Vec::new(),
    };
    let leaves: Vec<Leaf> = one.on.partitions.iter().map(leaf).collect();
    steps.extend(remedy::create_index(&on, is_partitioned, &leaves, &name, &one.new, facts.block_bytes));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(indexes: &[&[&str]]) -> Table {
        let existing = |columns: &&[&str]| Existing {
            method: "btree".into(),
            is_whole: true,
            classes: None,
            columns: Some(columns.iter().map(|name| Some((*name).to_owned())).collect()),
        };
        let types = [("a", "integer"), ("b", "text"), ("at", "date"), ("j", "json")];
        Table {
            kind: "r".into(),
            pages: 1,
            tuples: 1.0,
            writes: 0,
            is_locked: false,
            types: types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into(),
            indexes: indexes.iter().map(existing).collect(),
            taken_names: vec![],
            parent: None,
            partitions: vec![],
        }
    }

    #[test]
    fn equal_columns_come_before_the_order() {
        let facts = super::super::tests::facts();
        let want = Want {
            equal: vec![Part::Column("b".into())],
            sort: vec![("at".into(), "desc".into())],
            ..Want::default()
        };
        let (new, columns) = new_index(&want, &on(&[]), &facts).unwrap();
        assert_eq!(new.keys, ["b", "at desc"]);
        assert!(is_there(&on(&[&["at", "b", "a"]]), &new, &columns));
        assert!(!is_there(&on(&[&["at"], &["b", "a"]]), &new, &columns));
        let want = Want { equal: vec![Part::Column("j".into())], ..Want::default() };
        assert!(new_index(&want, &on(&[]), &facts).is_none());
    }

    #[test]
    fn a_pattern_asks_for_trigrams() {
        let facts = super::super::tests::facts();
        let pattern = wants::Pattern { column: "b".into(), text: "%x%".into(), ignores_case: false };
        let want = Want { pattern: Some(pattern), ..Want::default() };
        let (new, columns) = new_index(&want, &on(&[]), &facts).unwrap();
        assert_eq!(new.keys, ["b public.gin_trgm_ops"]);
        assert!(!is_there(&on(&[&["b"]]), &new, &columns));
    }
}
