//! A database with what the tests ask of it, and options under which a run does not wait for long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste_base::{Error, Result};
use posthaste_pg::{Connection, Target};
use posthaste_report::{Action, Batches, Phase, Plan, Run, Step, StepState};
use posthaste_runner::{Event, LockBudget, PaceLimits, RunOptions};
use posthaste_testkit::db::TestDb;

pub(crate) struct Ground {
    pub db: TestDb,
}

impl Ground {
    pub(crate) async fn with(statements: &str) -> Self {
        let ground = Self { db: TestDb::empty().await };
        ground.execute(statements).await;
        ground
    }

    pub(crate) fn target(&self) -> &Target {
        &self.db.target
    }

    /// A session of somebody else.
    pub(crate) async fn session(&self) -> Connection {
        self.db.pool.get().await.expect("a session")
    }

    pub(crate) async fn execute(&self, statements: &str) {
        if let Err(error) = self.session().await.batch_execute(statements).await {
            panic!("{statements}: {}", Error::from(posthaste_pg::Error::from(error)));
        }
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        let row = self.session().await.query_one(query, &[]).await;
        row.unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
    }

    pub(crate) async fn check(&self, query: &str, expected: i64) {
        assert_eq!(self.number(query).await, expected, "{query}");
    }

    pub(crate) async fn run(&self, plan: &Plan) -> Result<Run> {
        posthaste_runner::run(self.target(), plan, options(), |_| ()).await
    }

    /// Runs a plan that must come to its end.
    pub(crate) async fn done(&self, plan: &Plan) -> Run {
        self.run(plan).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.cause()))
    }

    pub(crate) async fn resume(&self, id: i64) -> Run {
        posthaste_runner::resume(self.target(), id, options(), |_| ()).await.expect("a run that goes on")
    }

    pub(crate) async fn abort(&self, id: i64) -> Run {
        posthaste_runner::abort(self.target(), id, options(), |_| ()).await.expect("a run that goes back")
    }

    pub(crate) async fn show(&self, id: i64) -> Run {
        posthaste_runner::show(self.target(), id).await.expect("a run")
    }

    pub(crate) async fn invalid_indexes(&self) -> i64 {
        self.number("select count(*) from pg_index where not indisvalid").await
    }
}

pub(crate) fn options() -> RunOptions {
    RunOptions {
        started_by: "a test".into(),
        locks: LockBudget {
            timeout_first: Duration::from_millis(40),
            timeout_max: Duration::from_millis(200),
            timeout_harmless: Duration::from_secs(20),
            pause_first: Duration::from_millis(5),
            pause_max: Duration::from_millis(20),
            total: Duration::from_secs(60),
        },
        // A slow machine must not make the batches smaller.
        pace: PaceLimits { batch: Duration::from_secs(2), rows_max: 200, ..PaceLimits::default() },
        look_every: Duration::from_millis(10),
        ..RunOptions::default()
    }
}

/// For locks that are not given back: a run does not try for long.
pub(crate) fn impatient() -> RunOptions {
    let mut options = options();
    options.locks.total = Duration::from_millis(200);
    options
}

pub(crate) fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        version: Plan::VERSION,
        title: "a test".into(),
        kind: "test".into(),
        database: String::new(),
        fingerprint: None,
        notes: Vec::new(),
        gates: Vec::new(),
        phases: vec![Phase {
            name: "all".into(),
            about: String::new(),
            compatible_with: String::new(),
            gates: Vec::new(),
            watch: Vec::new(),
            steps,
        }],
    }
}

pub(crate) fn transaction(id: &str, statement: &str) -> Step {
    Step::new(id, id, Action::Transaction { statements: vec![statement.into()] })
}

pub(crate) fn alone(id: &str, statement: &str, index: Option<&str>) -> Step {
    Step::new(id, id, Action::Alone { statement: statement.into(), index: index.map(str::to_owned) })
}

pub(crate) fn check(id: &str, sql: &str) -> Step {
    Step::new(id, id, Action::Check { sql: sql.into() })
}

pub(crate) fn batches(id: &str, batches: Batches) -> Step {
    Step::new(id, id, Action::Batches(batches))
}

/// Of table `public.t` by its `id`, a hundred rows at first.
pub(crate) fn over_t(statement: &str) -> Batches {
    let mut batches = Batches::new("public", "t", vec!["id".into()]);
    batches.statements = vec![statement.into()];
    batches.rows = 100;
    batches
}

pub(crate) fn undone_by(mut step: Step, undo: &[&str]) -> Step {
    step.undo = undo.iter().map(|text| (*text).to_owned()).collect();
    step
}

/// Keeps all events, and says each to whoever listens.
#[derive(Clone, Default)]
pub(crate) struct Events {
    all: Arc<Mutex<Vec<Event>>>,
    notify: Arc<tokio::sync::Notify>,
}

impl Events {
    pub(crate) fn observer(&self) -> impl FnMut(Event) + Send + 'static {
        let events = self.clone();
        move |event| {
            events.all.lock().expect("the events").push(event);
            events.notify.notify_waiters();
        }
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.all.lock().expect("the events").clone()
    }

    /// Waits for an event that was or will be.
    pub(crate) async fn wait_for(&self, is_it: impl Fn(&Event) -> bool) {
        let arrives = async {
            loop {
                let notified = self.notify.notified();
                if self.all().iter().any(&is_it) {
                    return;
                }
                // One may have come between the look and the wait, so that it looks again after a while.
                let _ = tokio::time::timeout(Duration::from_millis(20), notified).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), arrives).await.is_err() {
            panic!("it never came; there were {:?}", self.all());
        }
    }
}

pub(crate) fn state_of(run: &Run, step: &str) -> StepState {
    run.steps.iter().find(|other| other.id == step).expect("a step").state
}
