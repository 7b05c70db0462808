//! `posthaste runs`: runs of plans on a database, seen and steered from any process.
//!
//! Not for: starting one (`posthaste run`).

use std::process::ExitCode;

use clap::{Args, Subcommand};
use posthaste_report::Run;
use posthaste_runner::Wish;

use super::run::{How, Teller, show_end};
use crate::ask::{Consent, talk};
use crate::output::{self, Format, Output};
use crate::visit::Address;

/// See and steer runs of plans: list, show, pause, resume, abort, speed.
#[derive(Subcommand, Debug)]
pub(crate) enum Runs {
    List(List),
    Show(Show),
    Pause(Pause),
    Resume(Resume),
    Abort(Abort),
    Speed(Speed),
}

/// List runs, the newest first.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste runs list --database postgresql://app@db/shop")]
pub(crate) struct List {
    #[command(flatten)]
    address: Address,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

/// Show one run: its steps, rows and times, and who was in the way.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste runs show 3 --database postgresql://app@db/shop")]
pub(crate) struct Show {
    /// The run's id.
    id: i64,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Pause a run between two batches or steps. It holds no lock meanwhile.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste runs pause 3 --database postgresql://app@db/shop")]
pub(crate) struct Pause {
    /// The run's id.
    id: i64,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Go on with a run that was paused, stopped, killed or failed.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste runs resume 3 --database postgresql://app@db/shop --approve deploy"
)]
pub(crate) struct Resume {
    /// The run's id.
    id: i64,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    output: Output,
}

/// Take back what a run has done, the last step first, as far as its plan can.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste runs abort 3 --database postgresql://app@db/shop --yes")]
pub(crate) struct Abort {
    /// The run's id.
    id: i64,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

/// Change how fast a run goes, while it runs.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  posthaste runs speed 3 --percent 30 --database postgresql://app@db/shop"
)]
pub(crate) struct Speed {
    /// The run's id.
    id: i64,
    /// The share of the time in which batches work.
    #[arg(long, value_name = "1..100", required_unless_present = "batch_ms")]
    percent: Option<i32>,
    /// How long a batch should take.
    #[arg(long, value_name = "MS")]
    batch_ms: Option<i32>,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

impl Runs {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Runs::List(list) => {
                let runs = posthaste_runner::list(&list.address.target()?, list.limit).await?;
                let columns = [
                    ("ID", "id"),
                    ("STATE", "state"),
                    ("TITLE", "title"),
                    ("KIND", "kind"),
                    ("STARTED", "startedAt"),
                    ("FINISHED", "finishedAt"),
                    ("BY", "startedBy"),
                ];
                list.output.list("runs", &runs, &columns)?;
            }
            Runs::Show(show) => {
                let target = show.address.target()?;
                let mut run = posthaste_runner::show(&target, show.id).await?;
                if run.kind == "fix"
                    && let Err(error) = posthaste_care::fix::note_session_ends(&target, &mut run).await
                {
                    talk(&format!("which sessions it has ended is not known: {error}"));
                }
                print(&run, show.output)?;
            }
            Runs::Pause(pause) => steer(&pause.address, pause.id, Wish::Pause, pause.output).await?,
            Runs::Speed(speed) => {
                let wish = Wish::Speed { percent: speed.percent, batch_ms: speed.batch_ms };
                steer(&speed.address, speed.id, wish, speed.output).await?;
            }
            Runs::Resume(resume) => {
                let target = resume.address.target()?;
                let observer = Teller::default().observer();
                let run =
                    posthaste_runner::resume(&target, resume.id, resume.how.options(), observer).await?;
                return show_end(&run, resume.output);
            }
            Runs::Abort(abort) => {
                let target = abort.address.target()?;
                let run = posthaste_runner::show(&target, abort.id).await?;
                let what = format!("take back what run {} ({}) has done", run.id, run.title);
                if abort.consent.get(&what)? {
                    let observer = Teller::default().observer();
                    let run =
                        posthaste_runner::abort(&target, abort.id, abort.how.options(), observer).await?;
                    print(&run, abort.output)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn steer(address: &Address, id: i64, wish: Wish, output: Output) -> anyhow::Result<()> {
    let run = posthaste_runner::control(&address.target()?, id, wish).await?;
    talk("its runner hears it before the next batch or step");
    print(&run, output)
}

/// A few lines and a table of steps for people; all of it as JSON.
pub(crate) fn print(run: &Run, output: Output) -> anyhow::Result<()> {
    if output.format == Format::Json {
        return output.one("run", run);
    }
    let mut lines = vec![format!("run {} is {}: {}", run.id, run.state, run.title)];
    lines.push(format!("started {:.0} by {}", run.started_at, run.started_by));
    if let Some(finished_at) = run.finished_at {
        lines.push(format!("finished {finished_at:.0}"));
    }
    if let Some(runner) = &run.runner {
        let (process, host, pid) = (runner.process_id, &runner.host, runner.backend_pid);
        lines.push(format!("carried out by process {process} on {host}, pid {pid} at the server"));
    }
    lines.extend(run.error.iter().map(|error| format!("why: {error}")));
    lines.push(String::new());
    let mut rows = vec![
        ["STEP", "PHASE", "STATE", "TRIES", "BATCHES", "ROWS", "SECONDS", "TITLE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for step in &run.steps {
        let cells = [
            step.id.clone(),
            step.phase.clone(),
            step.state.to_string(),
            step.attempts.to_string(),
            step.batches.to_string(),
            step.rows.to_string(),
            format!("{:.1}", step.worked_ms as f64 / 1000.0),
            step.title.clone(),
        ];
        rows.push(cells.to_vec());
    }
    let mut text = format!("{}\n{}", lines.join("\n"), output::aligned(&rows));
    for step in &run.steps {
        if let Some(error) = &step.error {
            text.push_str(&format!("{}: {error}\n", step.id));
        }
    }
    for note in &run.notes {
        let step = note.step.as_ref().map(|step| format!(" {step}:")).unwrap_or_default();
        text.push_str(&format!("{:.0} {}:{step} {}\n", note.at, note.kind, note.text));
        for session in &note.sessions {
            text.push_str(&format!("  {session}\n"));
        }
    }
    output::text(&text)
}
