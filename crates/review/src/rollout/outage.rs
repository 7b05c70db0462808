//! What has no online way: a step of its own behind a person's word, with what the outage costs.
//!
//! What can be no step of a plan at all is left out, and said. Not for: deciding that there is no way (see the
//! routes).

use posthaste_base::catalog::{Catalog, Name};
use posthaste_report::{Accepted, Action, Effect, Lock, LockMode, Locked, Plan, Step};

use super::draft::{Draft, Undo};
use super::world::World;
use super::{measure, remade};
use crate::config::Thresholds;
use crate::model;
use crate::severity::{Work, duration, seconds, size};
use crate::statement::Statement;

/// The code with which a step of a plan says so.
pub const NO_ONLINE_WAY: &str = "no-online-way";

/// A statement for which there is no way without an outage.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// From 1.
    pub statement: u32,
    pub line: u32,
    /// Its first words.
    pub keyword: String,
    pub why: String,
    /// The step that does it as it was written, after a person has said that the outage has begun. Without one it is
    /// not in the plan.
    pub step: Option<String>,
    pub outage: Outage,
}

/// What it costs to run a statement as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outage {
    /// Those that stop others.
    pub locks: Vec<Lock>,
    /// That are read or written meanwhile, as far as the catalog says.
    pub bytes: Option<u64>,
    pub seconds: Option<f64>,
    /// Whether the seconds rest on a rate that was measured on this server.
    pub is_rate_measured: bool,
}

/// Why a form has no route.
#[derive(Clone)]
pub(crate) struct NoRoute {
    pub(super) why: String,
    /// Whether a plan can run it as it was written.
    can_be_step: bool,
}

impl NoRoute {
    /// It goes as it was written, and stops others.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), can_be_step: true }
    }

    /// No step of a plan can do it.
    pub(super) fn at_all(why: impl Into<String>) -> Self {
        Self { why: why.into(), can_be_step: false }
    }

    /// With a reason of which this one is only the sign.
    pub(super) fn because_of(self, why: &str) -> Self {
        Self { why: format!("{why} ({})", self.why), ..self }
    }
}

/// Puts what has no way into the plan as it was written, with its own step before it for a person. `texts` is the
/// statement, and what goes with it.
pub(super) fn settle(
    draft: &mut Draft,
    world: &World<'_>,
    no: NoRoute,
    statement: &Statement,
    texts: Vec<String>,
    undo: Undo,
) {
    let title = super::short(texts.last().map_or("", String::as_str));
    let (no, texts, undo) = with_views(draft, world, no, statement, texts, undo);
    let effects = model::effects(statement, world.catalog, world.version);
    let bytes = measure::bytes(&effects, world.catalog);
    let locks = effects.locks.into_iter().filter(|lock| lock.mode.blocks_writes()).collect();
    let mut step = None;
    if no.can_be_step {
        let stage = draft.latest();
        draft.manual(stage, format!("begin the outage for `{title}`"), "");
        let action = if effects.may_be_in_transaction {
            Action::Transaction { statements: texts }
        } else {
            Action::Alone { statement: texts.concat(), index: None }
        };
        step = Some(draft.add(stage, format!("{title}, in an outage"), action, undo));
    }
    draft.refuse(no.why, step, Outage { locks, bytes, ..Outage::default() });
}

/// A change of a column takes the views along that the file drops before it and makes again after it.
fn with_views(
    draft: &mut Draft,
    world: &World<'_>,
    no: NoRoute,
    statement: &Statement,
    texts: Vec<String>,
    undo: Undo,
) -> (NoRoute, Vec<String>, Undo) {
    let Statement::Alter(alter) = statement else { return (no, texts, undo) };
    let Some(table) = world.relation(&alter.name).filter(|_| no.can_be_step) else {
        return (no, texts, undo);
    };
    let changed = alter.clauses.iter().filter_map(|clause| match &clause.action {
        crate::statement::Action::SetType { column, .. } => Some(&column.name),
        _ => None,
    });
    let mut readers: Vec<&Name> = changed.flat_map(|column| remade::readers(table, column)).collect();
    readers.dedup();
    match remade::around_change(draft, world, draft.number(), &table.name.name, &readers) {
        Ok(None) => (no, texts, undo),
        Ok(Some(around)) => (no, [around.before, texts, around.after].concat(), Undo::Impossible),
        Err(fails) => (fails, texts, undo),
    }
}

/// Says at each of the steps what it costs, once they are measured.
pub(super) fn say(plan: &mut Plan, refusals: &mut [Refusal], catalog: &Catalog) {
    for refusal in refusals {
        let Some(id) = &refusal.step else { continue };
        let phase = plan.phases.iter_mut().find(|phase| phase.steps.iter().any(|step| step.id == *id));
        let Some(steps) = phase.map(|phase| &mut phase.steps) else { continue };
        let at = steps.iter().position(|step| step.id == *id).unwrap_or_default();
        // A step by itself may not say what it calls.
        if steps[at].locks.is_empty() {
            steps[at].locks.clone_from(&refusal.outage.locks);
        }
        refusal.outage = Outage::of(&steps[at], refusal.outage.bytes, catalog);
        let cost = refusal.outage.words(steps[at].effect);
        let (asked, asked_id) = match at.checked_sub(1).and_then(|before| steps.get_mut(before)) {
            Some(asked) => (Some(&mut asked.action), asked.id.clone()),
            None => (None, String::new()),
        };
        if let Some(Action::Manual { about }) = asked {
            *about = format!(
                "There is no online way: {}. The next step {cost}. Say when nobody needs it.",
                refusal.why
            );
        }
        steps[at].accepted.push(Accepted {
            code: NO_ONLINE_WAY.to_owned(),
            message: format!("there is no online way: the step {cost}"),
            because: format!(
                "{}; a person says first, at {asked_id}, that the outage may begin",
                refusal.why
            ),
        });
        plan.notes.push(format!(
            "Statement {} ({}, line {}) has no online way: {}. As step {id} it {cost}.",
            refusal.statement, refusal.keyword, refusal.line, refusal.why
        ));
    }
}

/// Whether the step is one that stops others, and says so.
pub(super) fn is_outage(step: &Step) -> bool {
    step.accepted.iter().any(|accepted| accepted.code == NO_ONLINE_WAY)
}

impl Outage {
    fn of(step: &Step, bytes: Option<u64>, catalog: &Catalog) -> Self {
        let locks: Vec<Lock> = step.locks.iter().filter(|lock| lock.mode.blocks_writes()).cloned().collect();
        let bytes = step.estimate.as_ref().and_then(|estimate| estimate.bytes).or(bytes);
        let work = if step.effect == Effect::Rewrite { Work::Rewrite } else { Work::Scan };
        let time = bytes.map(|bytes| seconds(bytes, work, Some(&catalog.server), &Thresholds::default()));
        Self {
            locks,
            bytes,
            seconds: time.map(|(seconds, _)| seconds),
            is_rate_measured: time.is_some_and(|(_, is_measured)| is_measured),
        }
    }

    /// What the step does to others, as the end of a sentence.
    fn words(&self, effect: Effect) -> String {
        let holds: Vec<String> = self.locks.iter().map(lock_words).collect();
        let holds = match holds.as_slice() {
            [] => "takes no table lock that stops others, and keeps the rows that it changes locked until it ends".to_owned(),
            holds => format!("holds {}", holds.join(", ")),
        };
        let verb = if effect == Effect::Rewrite { "writes" } else { "reads" };
        let work = match self.bytes {
            None => format!("while it {verb} what is of unknown size"),
            Some(0) => "for a moment".to_owned(),
            Some(bytes) => format!("while it {verb} {}", size(bytes)),
        };
        let time = match self.seconds.filter(|_| self.bytes != Some(0)) {
            None => String::new(),
            Some(seconds) if self.is_rate_measured => format!(", about {}", duration(seconds)),
            Some(seconds) => format!(
                ", about {} at a usual rate (`posthaste catalog export --calibrate` measures this server's)",
                duration(seconds)
            ),
        };
        format!("{holds} {work}{time}")
    }
}

fn lock_words(lock: &Lock) -> String {
    let name = match &lock.on {
        Locked::Table(name) | Locked::Index(name) => name,
    };
    let who = if lock.mode == LockMode::AccessExclusive { "reads or writes" } else { "writes" };
    format!("{} on {}.{name} (nobody {who} it meanwhile)", lock.mode, lock.schema)
}
