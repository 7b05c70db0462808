//! A step as a plan's file writes it: its action's fields beside its own, and no field that is not known.
//!
//! Serde takes a flattened field and a refusal of unknown ones only apart, and a misspelt `undo` must not pass. Not
//! for: what steps mean.

use serde::Deserialize;

use crate::plan::first_rows;
use crate::{Accepted, Action, Batches, Effect, Estimate, Lock, Step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepForm {
    id: String,
    #[serde(default)]
    title: String,
    action: Kind,
    statements: Option<Vec<String>>,
    statement: Option<String>,
    index: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    key: Option<Vec<String>>,
    alias: Option<String>,
    prove: Option<String>,
    left: Option<String>,
    rows: Option<u32>,
    sql: Option<String>,
    about: Option<String>,
    done_if: Option<String>,
    estimate: Option<Estimate>,
    #[serde(default)]
    effect: Effect,
    #[serde(default)]
    locks: Vec<Lock>,
    #[serde(default)]
    undo: Vec<String>,
    #[serde(default)]
    needs_no_undo: bool,
    #[serde(default)]
    accepted: Vec<Accepted>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Transaction,
    Alone,
    Batches,
    Check,
    Manual,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Transaction => "transaction",
            Kind::Alone => "alone",
            Kind::Batches => "batches",
            Kind::Check => "check",
            Kind::Manual => "manual",
        }
    }

    /// The fields that it may have.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Kind::Transaction => &["statements"],
            Kind::Alone => &["statement", "index"],
            Kind::Batches => &["statements", "schema", "table", "key", "alias", "prove", "left", "rows"],
            Kind::Check => &["sql"],
            Kind::Manual => &["about"],
        }
    }
}

impl TryFrom<StepForm> for Step {
    type Error = String;

    fn try_from(mut form: StepForm) -> Result<Self, String> {
        let id = form.id.clone();
        if let Some(field) = form.said().find(|field| !form.action.fields().contains(field)) {
            return Err(format!("step `{id}`: `{field}` does not belong to action `{}`", form.action.name()));
        }
        let missing = |field: &str| format!("step `{id}`: field `{field}` is missing");
        let action = match form.action {
            Kind::Transaction => {
                let statements = form.statements.take().ok_or_else(|| missing("statements"))?;
                Action::Transaction { statements }
            }
            Kind::Alone => Action::Alone {
                statement: form.statement.take().ok_or_else(|| missing("statement"))?,
                index: form.index.take(),
            },
            Kind::Batches => Action::Batches(Batches {
                schema: form.schema.take().ok_or_else(|| missing("schema"))?,
                table: form.table.take().ok_or_else(|| missing("table"))?,
                key: form.key.take().unwrap_or_default(),
                alias: form.alias.take(),
                statements: form.statements.take().ok_or_else(|| missing("statements"))?,
                prove: form.prove.take(),
                left: form.left.take(),
                rows: form.rows.unwrap_or_else(first_rows),
            }),
            Kind::Check => Action::Check { sql: form.sql.take().ok_or_else(|| missing("sql"))? },
            Kind::Manual => Action::Manual { about: form.about.take().ok_or_else(|| missing("about"))? },
        };
        Ok(Self {
            id: form.id,
            title: form.title,
            action,
            done_if: form.done_if,
            estimate: form.estimate,
            effect: form.effect,
            locks: form.locks,
            undo: form.undo,
            needs_no_undo: form.needs_no_undo,
            accepted: form.accepted,
        })
    }
}

impl StepForm {
    /// The fields of actions that the file has.
    fn said(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            ("statements", self.statements.is_some()),
            ("statement", self.statement.is_some()),
            ("index", self.index.is_some()),
            ("schema", self.schema.is_some()),
            ("table", self.table.is_some()),
            ("key", self.key.is_some()),
            ("alias", self.alias.is_some()),
            ("prove", self.prove.is_some()),
            ("left", self.left.is_some()),
            ("rows", self.rows.is_some()),
            ("sql", self.sql.is_some()),
            ("about", self.about.is_some()),
        ];
        fields.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name)
    }
}
