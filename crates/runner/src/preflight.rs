//! What must be so before the first step: a primary that takes writes, the right database, a plan whose statements
//! can run, and a role that may do what it says.
//!
//! Not for: gates (see `gates`), and for what only running shows.

use posthaste_base::catalog::Name;
use posthaste_base::{Code, Error};
use posthaste_report::{Action, LockMode, Locked, Plan, Step};

use crate::halt::Halt;
use crate::key::parse_name;
use crate::work::Work;
use crate::{sql, statement};

impl Work<'_> {
    pub(crate) async fn preflight(&mut self, plan: &Plan) -> Result<(), Halt> {
        plan.check()?;
        plan.steps().try_for_each(check_statements)?;
        self.for_journal().await?;
        let facts = self.hand.query_one(sql::ground::FACTS, &[]).await?;
        let (role, database): (String, String) = (facts.try_get("role")?, facts.try_get("database")?);
        if facts.try_get("is_replica")? {
            return Err(Error::new(Code::DatabaseReadOnly, "the server is a replica").into());
        }
        if facts.try_get("is_read_only")? {
            return Err(Error::new(Code::DatabaseReadOnly, "sessions of this role can only read").into());
        }
        let is_superuser: Option<bool> = facts.try_get("is_superuser")?;
        let may_journal: bool = facts.try_get::<_, bool>("may_create")? || facts.try_get("owns_journal")?;
        if !may_journal {
            let message = format!("role {role} may not make the journal's schema in database {database}");
            let hint = "grant CREATE on the database once, or let its owner make the schema `posthaste_runner` \
                        and grant USAGE and CREATE on it";
            return Err(Error::new(Code::MissingRight, message).hint(hint).into());
        }
        if !is_superuser.unwrap_or_default() {
            self.check_rights(plan, &role).await?;
        }
        self.check_drift(plan, &database)
    }

    fn check_drift(&mut self, plan: &Plan, database: &str) -> Result<(), Halt> {
        let is_overridden = |gate: &str| self.options.overrides.contains_key(gate);
        if !plan.database.is_empty() && plan.database != database && !is_overridden("database") {
            let message = format!("the plan was made for database {}, and this is {database}", plan.database);
            let hint = "connect to that one, make the plan for this one, or say `--override database=reason`";
            return Err(Error::new(Code::PlanDrift, message).hint(hint).into());
        }
        match (&plan.fingerprint, &self.options.fingerprint) {
            (Some(then), Some(now)) if then != now && !is_overridden("drift") => {
                let message = "the tables are not as they were when the plan was made";
                let hint = "make the plan again, and read it; or say `--override drift=reason`";
                Err(Error::new(Code::PlanDrift, message).hint(hint).into())
            }
            (Some(_), None) => {
                self.say_unread(
                    "whether the tables changed since the plan was made",
                    "nobody has compared them",
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Refuses only what cannot work: a step whose tables and indexes all belong to others, and batches on a table
    /// that the role may not write. What is not there yet may be made by a step before.
    async fn check_rights(&mut self, plan: &Plan, role: &str) -> Result<(), Halt> {
        let mut wanted = Vec::new();
        for step in plan.steps() {
            wanted.extend(names_of(step).into_iter().map(|(name, need)| (step, name, need)));
        }
        let schemas: Vec<&str> = wanted.iter().map(|(_, name, _)| name.schema.as_str()).collect();
        let names: Vec<&str> = wanted.iter().map(|(_, name, _)| name.name.as_str()).collect();
        let rows = self.hand.query(sql::ground::RIGHTS, &[&schemas, &names]).await?;
        let mut lacks = Vec::new();
        for step in plan.steps() {
            let mut owners = Vec::new();
            let mut has_own = false;
            for (row, (_, name, need)) in rows.iter().zip(&wanted).filter(|(_, (of, _, _))| of.id == step.id)
            {
                if !row.try_get::<_, bool>("exists")? {
                    has_own |= *need == Need::Owner;
                    continue;
                }
                let right = match need {
                    Need::Owner => {
                        has_own |= row.try_get::<_, bool>("is_owner")?;
                        owners.push(format!("{} (of {})", name.quoted(), row.try_get::<_, String>("owner")?));
                        continue;
                    }
                    Need::Update => ("UPDATE", row.try_get::<_, bool>("may_update")?),
                    Need::Delete => ("DELETE", row.try_get("may_delete")?),
                    Need::Select => ("SELECT", row.try_get("may_select")?),
                };
                if let (right, false) = right {
                    lacks.push(format!("step `{}` needs {right} on {}", step.id, name.quoted()));
                }
            }
            if !owners.is_empty() && !has_own {
                lacks.push(format!("step `{}` needs the owner of {}", step.id, owners.join(" or ")));
            }
        }
        if lacks.is_empty() {
            return Ok(());
        }
        lacks.dedup();
        let message = format!("role {role} lacks rights: {}", lacks.join("; "));
        Err(Error::new(Code::MissingRight, message).into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Owner,
    Select,
    Update,
    Delete,
}

/// The tables and indexes of a step, with what it needs there.
fn names_of(step: &Step) -> Vec<(Name, Need)> {
    let mut names = Vec::new();
    // The owner of the database may vacuum, and a member of pg_maintain too: the server knows best.
    let is_upkeep = match &step.action {
        Action::Alone { statement, .. } => statement::may_repeat(statement),
        _ => false,
    };
    if !is_upkeep {
        for lock in step.locks.iter().filter(|lock| lock.mode >= LockMode::ShareUpdateExclusive) {
            let (Locked::Table(name) | Locked::Index(name)) = &lock.on;
            names.push((Name::new(&lock.schema, name), Need::Owner));
        }
    }
    if let Action::Batches(batches) = &step.action {
        let table = Name::new(&batches.schema, &batches.table);
        names.push((table.clone(), Need::Select));
        for text in &batches.statements {
            match statement::first_word(text).as_str() {
                "update" => names.push((table.clone(), Need::Update)),
                "delete" => names.push((table.clone(), Need::Delete)),
                _ => {}
            }
        }
    }
    names
}

/// What the server would only say in the middle.
fn check_statements(step: &Step) -> Result<(), Error> {
    let wrong = |what: String| {
        Error::new(Code::InvalidFile, format!("step `{}`: {what}", step.id)).field("statements")
    };
    let within: Vec<&String> = match &step.action {
        Action::Transaction { statements } => statements.iter().collect(),
        Action::Batches(batches) => batches.statements.iter().chain(&batches.prove).collect(),
        _ => Vec::new(),
    };
    for text in within {
        if statement::stands_alone(text) {
            let what = format!("`{}` cannot stand in a transaction", statement::shortened(text));
            return Err(wrong(what).expected("a step of its own with action `alone`"));
        }
        if statement::controls_transactions(text) {
            let what = format!("`{}` would end the runner's own transaction", statement::shortened(text));
            return Err(wrong(what).expected("statements without BEGIN and COMMIT"));
        }
    }
    let Action::Alone { statement, index } = &step.action else { return Ok(()) };
    if statement::controls_transactions(statement) {
        return Err(
            wrong(format!("`{}` is no step", statement::shortened(statement))).expected("one statement")
        );
    }
    let is_build = statement::stands_alone(statement) && statement::first_word(statement) == "create";
    match index {
        Some(index) if parse_name(index).is_none() => {
            Err(wrong(format!("its index is called `{index}`")).field("index").expected("`schema.name`"))
        }
        None if is_build && step.done_if.is_none() => {
            let what = "it builds an index and does not name it, so that a leftover would not be found";
            Err(wrong(what.to_owned()).field("index").expected("`schema.name`"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_report::Batches;

    use super::*;

    fn refused(action: Action, expected: &str) {
        let error = check_statements(&Step::new("a", "", action)).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.code(), Code::InvalidFile);
    }

    fn alone(statement: &str, index: Option<&str>) -> Action {
        Action::Alone { statement: statement.into(), index: index.map(str::to_owned) }
    }

    #[test]
    fn statements_that_could_only_fail_are_refused_first() {
        let within = |text: &str| Action::Transaction { statements: vec![text.into()] };
        refused(within("create index concurrently a on t (b)"), "cannot stand in a transaction");
        refused(within("vacuum t"), "cannot stand in a transaction");
        refused(within("COMMIT"), "would end the runner's own transaction");
        let mut batches = Batches::new("public", "t", vec!["id".into()]);
        batches.statements = vec!["-- {batch}\ncommit".into()];
        refused(Action::Batches(batches), "would end");
        refused(alone("begin", None), "is no step");
        refused(alone("create index concurrently a on t (b)", None), "does not name it");
        refused(alone("create index concurrently a on t (b)", Some("a")), "expected `schema.name`");
        let good = [
            alone("create index concurrently a on t (b)", Some("public.a")),
            alone("vacuum t", None),
            within("alter table t add column a int"),
        ];
        for action in good {
            assert!(check_statements(&Step::new("a", "", action)).is_ok());
        }
    }
}
