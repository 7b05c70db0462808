//! Whether validated CHECKs prove what a statement would otherwise scan a table for.
//!
//! As PostgreSQL does it: a CHECK also holds when it is NULL, so that only IS NOT NULL proves that there are no
//! NULLs. Not for: reading conditions (`syntax`).

use std::cmp::Ordering;

use posthaste_base::catalog::{ConstraintKind, Relation};

use super::syntax::{Bound, Operator, Predicate, predicate};
use super::type_change::Type;

/// What is known of every row of a table.
pub(super) struct Facts<'a> {
    relation: &'a Relation,
    facts: Vec<Predicate>,
}

/// Whether a table needs no scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Proven,
    /// No CHECK says it.
    Not,
    /// A CHECK that is not understood may say it.
    Unclear,
}

impl<'a> Facts<'a> {
    /// Of the validated CHECKs and NOT NULLs of a table, but those that the same statement drops.
    pub(super) fn of(relation: &'a Relation, dropped: &[&str]) -> Self {
        let checks = relation.constraints.iter().filter(|c| {
            c.kind == ConstraintKind::Check
                && c.is_validated
                && c.is_enforced
                && !dropped.contains(&c.name.as_str())
        });
        let mut facts: Vec<Predicate> = checks.map(|check| predicate(&check.definition)).collect();
        let not_null = relation.columns.iter().filter(|column| column.is_not_null);
        facts.extend(not_null.map(|column| Predicate::NotNull(column.name.clone())));
        Self { relation, facts }
    }

    pub(super) fn prove_not_null(&self, column: &str) -> Proof {
        self.prove(&Predicate::NotNull(column.to_owned()), &[column.to_owned()])
    }

    /// That every row is within the bound of a partition with that key.
    pub(super) fn prove_within(&self, key: &[String], bound: &Bound) -> Proof {
        match within(key, bound) {
            Some(goal) => self.prove(&goal, key),
            None => self.unclear(key),
        }
    }

    /// That no row is within it.
    pub(super) fn prove_outside(&self, key: &[String], bound: &Bound) -> Proof {
        match within(key, bound).and_then(negated) {
            Some(goal) => self.prove(&goal, key),
            None => self.unclear(key),
        }
    }

    /// For a goal that is not understood: a check of one of the columns may prove it.
    fn unclear(&self, key: &[String]) -> Proof {
        let has_expression = key.iter().any(String::is_empty);
        let may_prove = |fact: &Predicate| {
            !matches!(fact, Predicate::NotNull(_)) && (has_expression || mentions(fact, key))
        };
        if self.facts.iter().any(may_prove) { Proof::Unclear } else { Proof::Not }
    }

    fn prove(&self, goal: &Predicate, columns: &[String]) -> Proof {
        if self.implies(&self.facts, goal) {
            return Proof::Proven;
        }
        if self.facts.iter().any(|fact| is_unclear(fact, columns)) { Proof::Unclear } else { Proof::Not }
    }

    fn implies(&self, facts: &[Predicate], goal: &Predicate) -> bool {
        match goal {
            Predicate::And(parts) => return parts.iter().all(|part| self.implies(facts, part)),
            Predicate::Or(parts) if parts.iter().any(|part| self.implies(facts, part)) => return true,
            _ => {}
        }
        facts.iter().any(|fact| match fact {
            Predicate::And(parts) => self.implies(parts, goal),
            Predicate::Or(parts) => parts.iter().all(|part| self.implies(std::slice::from_ref(part), goal)),
            atom => self.atom_implies(atom, goal),
        })
    }

    fn atom_implies(&self, fact: &Predicate, goal: &Predicate) -> bool {
        match (fact, goal) {
            (Predicate::NotNull(fact), Predicate::NotNull(goal)) => fact == goal,
            (Predicate::Null(fact), Predicate::Null(goal)) => fact == goal,
            (
                Predicate::Compare { column, operator, value },
                Predicate::Compare { column: goal_column, operator: wanted, value: limit },
            ) => column == goal_column && self.compare_implies(column, (*operator, value), (*wanted, limit)),
            _ => false,
        }
    }

    fn compare_implies(&self, column: &str, fact: (Operator, &str), goal: (Operator, &str)) -> bool {
        use Operator::*;
        let Some(order) = self.order(column, fact.1, goal.1) else { return false };
        match (fact.0, goal.0) {
            (Equal, Equal) => order.is_eq(),
            (Equal | LessOrEqual, Less) => order.is_lt(),
            (Less, Less | LessOrEqual) => order.is_le(),
            (Equal | LessOrEqual, LessOrEqual) => order.is_le(),
            (Equal | GreaterOrEqual, Greater) => order.is_gt(),
            (Greater, Greater | GreaterOrEqual) => order.is_ge(),
            (Equal | GreaterOrEqual, GreaterOrEqual) => order.is_ge(),
            (NotEqual, NotEqual) => order.is_eq(),
            (Equal, NotEqual) => order.is_ne(),
            (Less, NotEqual) => order.is_le(),
            (LessOrEqual, NotEqual) => order.is_lt(),
            (Greater, NotEqual) => order.is_ge(),
            (GreaterOrEqual, NotEqual) => order.is_gt(),
            _ => false,
        }
    }

    /// How two constants of a column are ordered; of texts only whether they are the same, because their order is
    /// the collation's.
    fn order(&self, column: &str, left: &str, right: &str) -> Option<Ordering> {
        let type_name = &self.relation.columns.iter().find(|c| c.name == column)?.type_name;
        let (left, right) = (left.trim_matches('\''), right.trim_matches('\''));
        match Type::parse(type_name).base.as_str() {
            "smallint" | "integer" | "bigint" => Some(left.parse::<i128>().ok()?.cmp(&right.parse().ok()?)),
            "numeric" | "real" | "double precision" => {
                left.parse::<f64>().ok()?.partial_cmp(&right.parse().ok()?)
            }
            // ISO dates are in the order of their letters, as far as both are written.
            "date" | "timestamp without time zone" => Some(instant(left).cmp(&instant(right))),
            "timestamp with time zone" => zoned_order(left, right),
            _ => (left == right).then_some(Ordering::Equal),
        }
    }
}

/// A date is its midnight.
fn instant(text: &str) -> String {
    if text.len() == 10 { format!("{text} 00:00:00") } else { text.to_owned() }
}

/// Only times with the same offset can be ordered by their letters.
fn zoned_order(left: &str, right: &str) -> Option<Ordering> {
    let offset = |text: &str| text.get(19..).map(str::to_owned);
    (left == right || offset(left) == offset(right)).then(|| left.cmp(right))
}

/// The condition that PostgreSQL puts on a partition.
fn within(key: &[String], bound: &Bound) -> Option<Predicate> {
    // Of several columns the condition is nested; and a hash cannot be proven by comparisons.
    let [column] = key else { return None };
    if column.is_empty() {
        return None;
    }
    let compare = |operator, value: &str| Predicate::Compare {
        column: column.clone(),
        operator,
        value: value.to_owned(),
    };
    match bound {
        Bound::List(values) => {
            let has_null = values.iter().any(|value| value == "NULL");
            let others = values.iter().filter(|value| *value != "NULL");
            let equal = Predicate::Or(others.map(|value| compare(Operator::Equal, value)).collect());
            Some(if has_null {
                Predicate::Or(vec![Predicate::Null(column.clone()), equal])
            } else {
                Predicate::And(vec![Predicate::NotNull(column.clone()), equal])
            })
        }
        Bound::Range { from, to } => {
            let mut parts = vec![Predicate::NotNull(column.clone())];
            let limits = [(from.first()?, Operator::GreaterOrEqual), (to.first()?, Operator::Less)];
            for (value, operator) in limits {
                if value != "MINVALUE" && value != "MAXVALUE" {
                    parts.push(compare(operator, value));
                }
            }
            Some(Predicate::And(parts))
        }
        Bound::Hash | Bound::Default => None,
    }
}

fn negated(predicate: Predicate) -> Option<Predicate> {
    Some(match predicate {
        Predicate::And(parts) => Predicate::Or(parts.into_iter().map(negated).collect::<Option<_>>()?),
        Predicate::Or(parts) => Predicate::And(parts.into_iter().map(negated).collect::<Option<_>>()?),
        Predicate::NotNull(column) => Predicate::Null(column),
        Predicate::Null(column) => Predicate::NotNull(column),
        Predicate::Compare { column, operator, value } => {
            let compare =
                |operator| Predicate::Compare { column: column.clone(), operator, value: value.clone() };
            match operator {
                Operator::Equal => compare(Operator::NotEqual),
                Operator::NotEqual => compare(Operator::Equal),
                Operator::Less => compare(Operator::GreaterOrEqual),
                Operator::LessOrEqual => compare(Operator::Greater),
                Operator::Greater => compare(Operator::LessOrEqual),
                Operator::GreaterOrEqual => compare(Operator::Less),
            }
        }
        Predicate::Other(_) => return None,
    })
}

fn mentions(fact: &Predicate, columns: &[String]) -> bool {
    match fact {
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().any(|part| mentions(part, columns)),
        Predicate::NotNull(column) | Predicate::Null(column) | Predicate::Compare { column, .. } => {
            columns.contains(column)
        }
        Predicate::Other(words) => words.iter().any(|word| columns.contains(word)),
    }
}

fn is_unclear(fact: &Predicate, columns: &[String]) -> bool {
    match fact {
        Predicate::Other(words) => words.iter().any(|word| columns.contains(word)),
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().any(|part| is_unclear(part, columns)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax::bound;
    use super::*;
    use posthaste_base::catalog::{Column, Constraint};

    fn table(type_name: &str, is_not_null: bool, checks: &[&str]) -> Relation {
        let column =
            Column { name: "id".into(), type_name: type_name.into(), is_not_null, ..Column::default() };
        let check = |text: &&str| Constraint {
            kind: ConstraintKind::Check,
            is_validated: true,
            is_enforced: true,
            definition: format!("CHECK ({text})"),
            ..Constraint::default()
        };
        Relation {
            columns: vec![column],
            constraints: checks.iter().map(check).collect(),
            ..Relation::default()
        }
    }

    #[track_caller]
    fn check_within(relation: &Relation, text: &str, expected: Proof) {
        let bound = bound(text).expect("a bound");
        assert_eq!(Facts::of(relation, &[]).prove_within(&["id".to_owned()], &bound), expected, "{text}");
    }

    #[test]
    fn range_is_proven_by_narrower_checks_alone() {
        let bound = "FOR VALUES FROM (10) TO (20)";
        check_within(&table("integer", true, &["((id >= 10) AND (id < 20))"]), bound, Proof::Proven);
        check_within(&table("integer", true, &["(id > 12)", "(id <= 18)"]), bound, Proof::Proven);
        check_within(&table("integer", true, &["((id >= 9) AND (id < 20))"]), bound, Proof::Not);
        check_within(&table("integer", true, &["(id >= 10)"]), bound, Proof::Not);
        check_within(&table("integer", true, &["((id >= 10) AND (id <= 20))"]), bound, Proof::Not);
        check_within(&table("integer", true, &["(abs(id) < 20)"]), bound, Proof::Unclear);
    }

    #[test]
    fn check_lets_nulls_pass() {
        let bound = "FOR VALUES FROM (10) TO (20)";
        check_within(&table("integer", false, &["((id >= 10) AND (id < 20))"]), bound, Proof::Not);
        let with_nulls = ["((id IS NOT NULL) AND (id >= 10) AND (id < 20))"];
        check_within(&table("integer", false, &with_nulls), bound, Proof::Proven);
    }

    #[test]
    fn list_is_proven_by_any_of_its_values() {
        let bound = "FOR VALUES IN (3, 4)";
        check_within(&table("integer", true, &["(id = 3)"]), bound, Proof::Proven);
        check_within(&table("integer", true, &["(id = ANY (ARRAY[3, 4]))"]), bound, Proof::Proven);
        check_within(&table("integer", true, &["(id = ANY (ARRAY[3, 5]))"]), bound, Proof::Not);
    }

    #[test]
    fn dates_are_ordered_and_texts_are_not() {
        let bound = "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')";
        let checks = ["((id >= '2024-01-01'::date) AND (id < '2024-02-01'::date))"];
        check_within(&table("date", true, &checks), bound, Proof::Proven);
        check_within(
            &table("text", true, &["((id >= 'a') AND (id < 'b'))"]),
            "FOR VALUES FROM ('a') TO ('c')",
            Proof::Not,
        );
    }

    #[test]
    fn default_partition_proves_that_it_has_none() {
        let relation = table("integer", false, &["((id < 10) OR (id >= 20))"]);
        let facts = Facts::of(&relation, &[]);
        let key = ["id".to_owned()];
        assert_eq!(facts.prove_outside(&key, &bound("FOR VALUES FROM (10) TO (20)").unwrap()), Proof::Proven);
        assert_eq!(facts.prove_outside(&key, &bound("FOR VALUES FROM (5) TO (20)").unwrap()), Proof::Not);
    }
}
