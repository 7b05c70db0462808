//! A rollout while it is made: steps go to their phases, each with what takes it back.
//!
//! Not for: deciding which steps there are (see the routes).

use std::collections::BTreeMap;

use posthaste_report::{Action, Batches, Phase, Signal, Step, Watch};

use super::outage::{Outage, Refusal};
use crate::statement::Located;

/// The phases of a rollout, in order. Each may be days from the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// What is new and nobody needs yet.
    Expand,
    /// Data for it.
    Backfill,
    /// Indexes and constraints over what is there, while all goes on.
    Validate,
    /// The moments in which something takes another's place.
    Switch,
    /// What nobody needs any more goes.
    Contract,
}

/// How a step is taken back.
pub(super) enum Undo {
    By(Vec<String>),
    /// The undo of a step before it takes it back too, or nobody sees it.
    WithAnother,
    Impossible,
}

#[derive(Default)]
pub(super) struct Draft {
    stages: BTreeMap<Stage, Vec<Step>>,
    pub notes: Vec<String>,
    /// What has no online way.
    pub refusals: Vec<Refusal>,
    /// The statement of which the steps are now.
    place: Place,
    /// The statement of each step.
    pub owners: BTreeMap<String, u32>,
}

#[derive(Clone, Default)]
struct Place {
    statement: u32,
    line: u32,
    keyword: String,
}

/// How far a draft was, to go back to.
pub(super) struct Mark {
    steps: BTreeMap<Stage, usize>,
    notes: usize,
    refusals: usize,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Expand => "expand",
            Stage::Backfill => "backfill",
            Stage::Validate => "validate",
            Stage::Switch => "switch",
            Stage::Contract => "contract",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Stage::Expand => "Adds what is new. Nobody needs it yet, and nothing that is there changes.",
            Stage::Backfill => "Fills what is new in small transactions; it can be paused and resumed.",
            Stage::Validate => "Builds indexes and checks what is there, while reads and writes go on.",
            Stage::Switch => "Puts the new in the place of the old, in moments.",
            Stage::Contract => "Takes away what nobody needs any more.",
        }
    }

    fn compatible_with(self) -> &'static str {
        match self {
            Stage::Expand | Stage::Backfill => "the present version of the application, and the next",
            Stage::Validate => {
                "versions that keep the new constraints for what they write; a present version that does not fails"
            }
            Stage::Switch => "versions that know both forms",
            Stage::Contract => "the next version only; a version that still uses what is dropped fails",
        }
    }

    /// Starting points, to be set to what is usual here: the thresholds of the literature on online changes.
    fn watch(self) -> Vec<Watch> {
        let watch = |metric: &str, threshold, unit: &str, when: &str| Watch {
            metric: metric.into(),
            threshold,
            unit: unit.into(),
            watch_s: if matches!(self, Stage::Switch | Stage::Contract) { 1_800 } else { 600 },
            when: when.into(),
            signal: None,
            pause_after_s: 0,
        };
        let measured = |watch: Watch, signal, pause_after_s: u64| Watch {
            when: format!("for {pause_after_s} s: the run pauses"),
            signal: Some(signal),
            pause_after_s,
            ..watch
        };
        let mut all = vec![
            measured(watch("sessions that wait for a lock", 5.0, "sessions", ""), Signal::LockWaits, 10),
            watch("error rate of the application", 1.0, "percent", "for 60 s: abort the run"),
        ];
        if matches!(self, Stage::Backfill | Stage::Validate) {
            let lag = watch("replay lag of the slowest replica", 60.0, "seconds", "");
            all.push(measured(lag, Signal::ReplicaLag, 60));
            let oldest = watch("longest open transaction", 3_600.0, "seconds", "");
            all.push(measured(oldest, Signal::OldestTransaction, 60));
            all.push(watch("99th percentile of query time", 2.0, "times the usual", "slow the run down"));
            all.push(watch("disk of the server", 80.0, "percent in use", "pause the run"));
        }
        if self == Stage::Backfill {
            let dead = watch("dead rows of the table", 60.0, "percent of its rows", "");
            all.push(measured(dead, Signal::DeadRows, 60));
        }
        all
    }
}

impl Draft {
    /// What comes from now on is of that statement.
    pub(super) fn begin(&mut self, located: &Located) {
        let keyword = located.statement.keyword();
        self.place = Place { statement: located.number, line: located.line, keyword };
    }

    /// Of the statement of which the steps are now.
    pub(super) fn number(&self) -> u32 {
        self.place.statement
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            steps: self.stages.iter().map(|(stage, steps)| (*stage, steps.len())).collect(),
            notes: self.notes.len(),
            refusals: self.refusals.len(),
        }
    }

    /// Forgets what was added since: a route that came to no end leaves nothing behind.
    pub(super) fn restore(&mut self, mark: &Mark) {
        self.stages.retain(|stage, steps| {
            steps.truncate(mark.steps.get(stage).copied().unwrap_or_default());
            !steps.is_empty()
        });
        self.notes.truncate(mark.notes);
        self.refusals.truncate(mark.refusals);
    }

    /// The phase in which all that is there by now is there, but for what only goes in the end.
    pub(super) fn latest(&self) -> Stage {
        let has_later = self.stages.keys().any(|stage| (Stage::Backfill..=Stage::Switch).contains(stage));
        if has_later { Stage::Switch } else { Stage::Expand }
    }

    pub(super) fn refuse(&mut self, why: String, step: Option<String>, outage: Outage) {
        let Place { statement, line, keyword } = self.place.clone();
        self.refusals.push(Refusal { statement, line, keyword, why, step, outage });
    }

    /// The new step's id.
    pub(super) fn add(
        &mut self,
        stage: Stage,
        title: impl Into<String>,
        action: Action,
        undo: Undo,
    ) -> String {
        let steps = self.stages.entry(stage).or_default();
        let id = format!("{}-{}", stage.name(), steps.len() + 1);
        let mut step = Step::new(id.clone(), title, action);
        self.owners.insert(id.clone(), self.place.statement);
        match undo {
            Undo::By(statements) => step.undo = statements,
            Undo::WithAnother => step.needs_no_undo = true,
            Undo::Impossible => {}
        }
        steps.push(step);
        id
    }

    pub(super) fn transaction(
        &mut self,
        stage: Stage,
        title: impl Into<String>,
        statements: Vec<String>,
        undo: Undo,
    ) {
        self.add(stage, title, Action::Transaction { statements }, undo);
    }

    /// A statement that must stand outside of a transaction.
    pub(super) fn alone(
        &mut self,
        stage: Stage,
        title: impl Into<String>,
        statement: String,
        index: Option<String>,
        undo: Undo,
    ) {
        self.add(stage, title, Action::Alone { statement, index }, undo);
    }

    pub(super) fn batches(&mut self, title: impl Into<String>, batches: Batches, undo: Undo) {
        self.add(Stage::Backfill, title, Action::Batches(batches), undo);
    }

    pub(super) fn check(&mut self, stage: Stage, title: impl Into<String>, sql: String) {
        self.add(stage, title, Action::Check { sql }, Undo::WithAnother);
    }

    /// Something that a person does, or knows.
    pub(super) fn manual(&mut self, stage: Stage, title: impl Into<String>, about: impl Into<String>) {
        self.add(stage, title, Action::Manual { about: about.into() }, Undo::WithAnother);
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn into_phases(self) -> Vec<Phase> {
        let phase = |(stage, steps): (Stage, Vec<Step>)| Phase {
            name: stage.name().into(),
            about: stage.about().into(),
            compatible_with: stage.compatible_with().into(),
            gates: Vec::new(),
            watch: stage.watch(),
            steps,
        };
        self.stages.into_iter().map(phase).collect()
    }
}
