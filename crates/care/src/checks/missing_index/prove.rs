//! Plans without values, and whether a proposed index would change them.
//!
//! With HypoPG the planner itself is asked; without it, an estimate from how few rows the plan keeps. Not for: times,
//! which only a run shows.

use posthaste_base::catalog::Name;
use posthaste_pg::driver::SimpleQueryMessage;
use posthaste_report::Confidence;
use serde::Deserialize;
use serde_json::Value;

use super::wants::Want;
use crate::doctor::plan_reading::Node;
use crate::doctor::remedy::{self, NewIndex};
use crate::doctor::{Facts, Unseen, Visitor};

/// A plan must cost so much less.
const GAIN_MIN: f64 = 2.0;
/// Of the rows of a table, an index may be asked for at most so many.
const KEPT_MAX: f64 = 0.05;

pub(super) struct Planner<'a> {
    visitor: &'a Visitor,
    major: u32,
    /// Where HypoPG is, when it is there.
    hypopg: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proof {
    /// The planner chose it, at that cost instead of this one.
    Chosen {
        before: f64,
        after: f64,
    },
    NotChosen,
    /// The plan keeps this share of the rows that it reads.
    Kept(f64),
    KeptTooMany,
    /// Only the beginning of an order is asked for.
    Ordered,
    /// Nothing else serves such a pattern.
    OnlyWay,
}

impl Proof {
    pub(super) fn is_refuted(&self) -> bool {
        matches!(self, Proof::NotChosen | Proof::KeptTooMany)
    }

    pub(super) fn confidence(&self) -> Confidence {
        match self {
            Proof::Chosen { .. } | Proof::OnlyWay => Confidence::Likely,
            Proof::Kept(share) if *share <= 0.005 => Confidence::Likely,
            _ => Confidence::Possible,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Proof::Chosen { before, after } => {
                format!(
                    "with a hypothetical index the planner takes it: cost {after:.0} instead of {before:.0}"
                )
            }
            Proof::Kept(share) => {
                format!("estimated: the statement keeps {:.2} % of the rows that it reads", 100.0 * share)
            }
            Proof::Ordered => "estimated: only the first rows of that order are asked for".to_owned(),
            Proof::OnlyWay => {
                "estimated: nothing else finds such a pattern without reading all rows".to_owned()
            }
            Proof::NotChosen => "the planner would not take it".to_owned(),
            Proof::KeptTooMany => "the statement keeps too many rows for an index".to_owned(),
        }
    }
}

impl<'a> Planner<'a> {
    pub(super) async fn new(visitor: &'a Visitor, facts: &Facts) -> Result<Self, Unseen> {
        let hypopg = facts.extension("hypopg").map(|found| found.schema.clone());
        visitor.use_role_s_names().await?;
        if facts.major() < 16 {
            let sql = remedy::fill(include_str!("../../../sql/doctor/generic_plans.sql"), &[]);
            visitor.visit.simple_query(&sql).await?;
        }
        Ok(Self { visitor, major: facts.major(), hypopg })
    }

    pub(super) async fn close(&self) {
        self.forget().await;
        // The next statement fails by itself when this one did.
        let _ = self.visitor.use_own_names().await;
    }

    /// The plan of a statement whose values are not known.
    pub(super) async fn plan(&self, statement: &str) -> Result<Value, Unseen> {
        if self.major >= 16 {
            let sql =
                remedy::fill(include_str!("../../../sql/doctor/explain.sql"), &[("statement", statement)]);
            return self.explained(&sql).await;
        }
        const NAME: &str = "posthaste_doctor";
        let values = [("name", NAME), ("statement", statement)];
        let prepare = remedy::fill(include_str!("../../../sql/doctor/prepare.sql"), &values);
        self.visitor.visit.batch_execute(&prepare).await?;
        let plan = self.plan_prepared(NAME).await;
        let deallocate = remedy::fill(include_str!("../../../sql/doctor/deallocate.sql"), &[("name", NAME)]);
        self.visitor.visit.batch_execute(&deallocate).await?;
        plan
    }

    async fn plan_prepared(&self, name: &str) -> Result<Value, Unseen> {
        #[derive(Deserialize)]
        struct Count {
            parameters: Option<usize>,
        }
        let sql = include_str!("../../../sql/doctor/prepared_parameters.sql");
        let count: Count = self.visitor.rows_with(sql, &[&name]).await?.one()?;
        let nulls = vec!["null"; count.parameters.unwrap_or_default()].join(", ");
        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        let values = [("name", name), ("nulls", nulls.as_str())];
        let sql = remedy::fill(include_str!("../../../sql/doctor/explain_execute.sql"), &values);
        self.explained(&sql).await
    }

    async fn explained(&self, sql: &str) -> Result<Value, Unseen> {
        let answers = self.visitor.visit.simple_query(sql).await?;
        let text: String = answers
            .iter()
            .filter_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        serde_json::from_str(&text).map_err(Unseen::shape)
    }

    #[expect(clippy::too_many_arguments, reason = "one proof needs all that a proposal consists of")]
    pub(super) async fn prove(
        &self,
        statement: &str,
        top: Node<'_>,
        table: &Name,
        kind: &str,
        new: &NewIndex,
        want: &Want,
        rows: f64,
    ) -> Proof {
        // HypoPG knows neither GIN nor partitioned tables.
        if let (Some(schema), "btree", "r" | "m") = (&self.hypopg, new.method.as_str(), kind) {
            let before = top.number("Total Cost").unwrap_or_default();
            let after = self.with_index(schema, table, new, statement).await;
            self.forget().await;
            if let Ok(after) = after {
                return match after {
                    Some(after) if before >= GAIN_MIN * after => Proof::Chosen { before, after },
                    _ => Proof::NotChosen,
                };
            }
        }
        estimate(want, new, rows)
    }

    /// What the statement costs with the index, if the planner takes it.
    async fn with_index(
        &self,
        schema: &str,
        table: &Name,
        new: &NewIndex,
        statement: &str,
    ) -> Result<Option<f64>, Unseen> {
        #[derive(Deserialize)]
        struct Made {
            name: String,
        }
        let create =
            remedy::create_index_statement(table, "posthaste_doctor", new).replace(" concurrently ", " ");
        let quoted = posthaste_base::quote::identifier(schema);
        let values = [("schema", quoted.as_str())];
        let sql = remedy::fill(include_str!("../../../sql/doctor/hypothetical_index.sql"), &values);
        let made: Made = self.visitor.rows_with(&sql, &[&create]).await?.one()?;
        let plan = self.plan(statement).await?;
        let Some(top) = Node::top(&plan) else { return Ok(None) };
        let takes_it = top.all().iter().any(|node| node.text("Index Name") == Some(made.name.as_str()));
        Ok(top.number("Total Cost").filter(|_| takes_it))
    }

    async fn forget(&self) {
        if let Some(schema) = &self.hypopg {
            let quoted = posthaste_base::quote::identifier(schema);
            let values = [("schema", quoted.as_str())];
            let sql = remedy::fill(include_str!("../../../sql/doctor/hypothetical_reset.sql"), &values);
            // They end with the session anyway.
            let _ = self.visitor.visit.simple_query(&sql).await;
        }
    }
}

fn estimate(want: &Want, new: &NewIndex, rows: f64) -> Proof {
    if new.method == "gin" {
        return Proof::OnlyWay;
    }
    let share = want.rows / rows.max(1.0);
    if share <= KEPT_MAX {
        Proof::Kept(share)
    } else if want.is_limited {
        Proof::Ordered
    } else {
        Proof::KeptTooMany
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_or_a_beginning_are_worth_an_index() {
        let new = NewIndex { method: "btree".into(), ..NewIndex::default() };
        let proof = |rows: f64, is_limited: bool| {
            estimate(&Want { rows, is_limited, ..Want::default() }, &new, 100_000.0)
        };
        assert_eq!(proof(100.0, false), Proof::Kept(0.001));
        assert!(proof(50_000.0, false).is_refuted());
        assert_eq!(proof(50_000.0, true), Proof::Ordered);
    }
}
