//! `posthaste run`: carries out a plan, and says what happens while it does.
//!
//! Not for: what a step does (see `posthaste_runner`), nor for steering a run from elsewhere (`posthaste runs`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_change::fingerprint;
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::{Plan, Run as Outcome, RunState, plan_markdown};
use posthaste_runner::{Event, RunOptions};

use crate::ask::{Consent, talk};
use crate::command::operator;
use crate::failure::FINDINGS;
use crate::output::{self, Output};
use crate::visit::Address;

/// Carry out a plan: step by step, with short lock timeouts, in batches, resumable after a kill at any point.
///
/// A run of the same plan that was killed or stopped goes on.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste run 0042.plan.toml --database postgresql://app@db/shop --dry-run\n  \
    posthaste run 0042.plan.toml --database postgresql://app@db/shop \\\n    \
    --approve reviewed --backup-at 2026-03-01T02:00:00Z\n  \
    posthaste run fix.toml --yes --override 'window=the shop is closed today'")]
pub(crate) struct Run {
    /// The plan's file.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// What is said of a run when it starts, or goes on.
#[derive(Args, Clone, Debug)]
pub(crate) struct How {
    /// Say that an approval was given, or that a step for a person was done; as often as needed.
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
    /// Pass a gate that is closed, and write the reason down.
    #[arg(long = "override", value_name = "GATE=REASON", value_parser = gate_and_reason)]
    overrides: Vec<(String, String)>,
    /// When the last backup was taken, which the server does not know.
    #[arg(long, value_name = "TIME")]
    backup_at: Option<Timestamp>,
    /// End sessions that are in the way for so many seconds (30): cancel first, terminate if that does not help.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "30")]
    cancel_blockers: Option<u64>,
    /// How long the first try waits for a lock, and so how long others may have to wait behind it.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    lock_timeout_ms: u64,
    /// How long all tries for the locks of one step may take together.
    #[arg(long, value_name = "SECONDS", default_value_t = 2_400)]
    lock_budget_s: u64,
    /// How long a batch should take, and so how long others may have to wait for one of its rows.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    batch_ms: u64,
    /// A step that a crash left in doubt had been done.
    #[arg(long, value_name = "STEP")]
    was_done: Vec<String>,
    /// A step that a crash left in doubt had not been done.
    #[arg(long, value_name = "STEP")]
    was_not_done: Vec<String>,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let plan = read_plan(&self.plan)?;
        let target = self.address.target()?;
        if self.consent.dry_run {
            output::text(&plan_markdown(&plan))?;
        }
        let what = format!("carry out {} steps in database {}", plan.steps().count(), target.database());
        if !self.consent.get(&what)? {
            return Ok(ExitCode::SUCCESS);
        }
        let mut options = self.how.options();
        let run = match posthaste_runner::find(&target, &plan).await? {
            Some(found) => {
                posthaste_runner::resume(&target, found.id, options, Teller::default().observer()).await?
            }
            None => {
                options.fingerprint = present_fingerprint(&target, &plan, &options).await?;
                posthaste_runner::run(&target, &plan, options, Teller::default().observer()).await?
            }
        };
        show_end(&run, self.output)
    }
}

impl How {
    pub(crate) fn options(&self) -> RunOptions {
        let mut options = RunOptions {
            started_by: operator(),
            approvals: self.approve.iter().cloned().collect::<BTreeSet<_>>(),
            overrides: self.overrides.iter().cloned().collect::<BTreeMap<_, _>>(),
            backup_at: self.backup_at,
            cancel_blockers_after: self.cancel_blockers.map(Duration::from_secs),
            stop: Some(stop_on_signals()),
            ..RunOptions::default()
        };
        options.settled.extend(self.was_done.iter().map(|step| (step.clone(), true)));
        options.settled.extend(self.was_not_done.iter().map(|step| (step.clone(), false)));
        options.locks.timeout_first = Duration::from_millis(self.lock_timeout_ms);
        options.locks.timeout_max = options.locks.timeout_max.max(options.locks.timeout_first);
        options.locks.total = Duration::from_secs(self.lock_budget_s);
        options.pace.batch = Duration::from_millis(self.batch_ms);
        options
    }
}

fn gate_and_reason(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((gate, reason)) if !gate.trim().is_empty() && !reason.trim().is_empty() => {
            Ok((gate.trim().to_owned(), reason.trim().to_owned()))
        }
        _ => Err("say the gate and why: `window=the shop is closed today`".to_owned()),
    }
}

pub(super) fn read_plan(path: &Path) -> Result<Plan, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(Code::InvalidFile, error.to_string()).field(name.clone()))?;
    Plan::from_toml(&text).map_err(|error| {
        let named = Error::new(error.code(), error.to_string()).field(name);
        named.hint("correct the plan at the place that the message names")
    })
}

/// The plan's tables as they are now; names those that changed since it was made.
async fn present_fingerprint(
    target: &Target,
    plan: &Plan,
    options: &RunOptions,
) -> Result<Option<String>, Error> {
    let Some(then) = &plan.fingerprint else { return Ok(None) };
    // Of another database all may differ: the run says that it is another one.
    let is_other = !plan.database.is_empty() && plan.database != target.database();
    if is_other && !options.overrides.contains_key("database") {
        return Ok(None);
    }
    let visit = Visit::connect(target, VisitOptions::named("posthaste run").read_only()).await?;
    let catalog = read(&visit, &CatalogOptions::default()).await?;
    visit.close().await;
    let now = fingerprint::like(then, &catalog, plan);
    if *then != now && !options.overrides.contains_key("drift") {
        let names = fingerprint::changed(then, &now).join("; ");
        let message = format!("since the plan was made, these changed: {names}");
        return Err(Error::new(Code::PlanDrift, message)
            .hint("make the plan again, and read it; or say `--override drift=reason`"));
    }
    Ok(Some(now))
}

/// Becomes true at Ctrl-C or SIGTERM: the run then stops where it can go on.
fn stop_on_signals() -> tokio::sync::watch::Receiver<bool> {
    let (sender, receiver) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        talk("stops as soon as it can go on from there");
        sender.send_replace(true);
    });
    receiver
}

/// Says what happens, on standard error; progress only now and then.
#[derive(Default)]
pub(crate) struct Teller {
    said: Option<Instant>,
}

impl Teller {
    pub(crate) fn observer(mut self) -> impl FnMut(Event) + Send {
        let every = Duration::from_secs(if io::stderr().is_terminal() { 2 } else { 15 });
        move |event| {
            if matches!(event, Event::Progress(_) | Event::IndexBuild { .. }) {
                if self.said.is_some_and(|said| said.elapsed() < every) {
                    return;
                }
                self.said = Some(Instant::now());
            }
            talk(&event.to_string());
        }
    }
}

/// Prints a run that has come to an end. One that went back is a finding.
pub(crate) fn show_end(run: &Outcome, output: Output) -> anyhow::Result<ExitCode> {
    super::runs::print(run, output)?;
    Ok(if run.state == RunState::Aborted { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
}
