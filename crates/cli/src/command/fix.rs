//! `posthaste fix`: plans that mend what was found, and the way back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_care::fix::{self, Order, Policies};
use posthaste_care::integrity::Outcome;
use posthaste_pg::Target;
use posthaste_report::{Finding, Plan as Data, Report, Run};
use serde::Serialize;

use crate::ask::{Consent, talk};
use crate::command::integrity::What;
use crate::command::operator;
use crate::command::run::Teller;
use crate::output::{self, Output};
use crate::visit::Address;

/// Make a plan that mends what was found, and take back what it did: plan, sessions, show, compare, kept, undo.
#[derive(Subcommand, Debug)]
pub(crate) enum Fix {
    Plan(Plan),
    Sessions(Sessions),
    Show(Show),
    Compare(Compare),
    Kept(Kept),
    Undo(Undo),
}

/// Look at the data, and make one plan that mends it by your policies. Nothing is changed.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste fix plan --database postgresql://app@db/shop \\\n    \
    --policy orphans=quarantine --policy totals=recompute --out mend.toml\n  \
    posthaste fix plan --database postgresql://app@db/shop --from doctor.json \\\n    \
    --from integrity.json --out mend.toml\n  \
    posthaste run mend.toml --database postgresql://app@db/shop\n\
    \n\
    Policies (what none is said for is shown, and left as it is):\n  \
    orphans=quarantine|delete|set-null|re-parent:KEY   rows that point to nothing\n  \
    duplicates=merge|rename                            rows that share a key\n  \
    negatives=clamp|quarantine                         less than nothing\n  \
    totals=recompute                                   not the sum of their items\n  \
    constraints=add                                    what is right stays right\n  \
    orphans@sales.items=delete                         for one table")]
pub(crate) struct Plan {
    #[command(flatten)]
    what: What,
    /// What to do with a kind of fault: KIND=POLICY, or KIND@SCHEMA.TABLE=POLICY; may be repeated.
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
    /// A report as JSON: of `doctor`, whose remedies come into the plan, or of `integrity`, whose findings alone are
    /// mended. May be repeated.
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// What the plan is called; what it changes is kept under this name.
    #[arg(long)]
    name: Option<String>,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Say what the steps of a plan that end sessions would do now, or what they have done. Nobody is ended.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste fix sessions mend.toml --database postgresql://app@db/shop\n  \
    posthaste fix sessions --database postgresql://app@db/shop")]
pub(crate) struct Sessions {
    /// The plan's file; without it, the sessions that plans have ended or left alone.
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Show what a plan has measured before and after: wrong rows, sizes, the slowest statements, and which sessions it ended.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste fix show 7 --database postgresql://app@db/shop")]
pub(crate) struct Show {
    /// The run's number, or the plan's name.
    run: String,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Count again what a report of `integrity` found, and show the numbers before and now.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste integrity --database postgresql://app@db/shop \\\n    \
    --format json > before.json\n  \
    posthaste fix compare --database postgresql://app@db/shop --before before.json")]
pub(crate) struct Compare {
    #[command(flatten)]
    what: What,
    /// The report from before, as JSON.
    #[arg(long, value_name = "FILE")]
    before: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// List the plans whose changes are kept, and can be taken back.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste fix kept --database postgresql://app@db/shop")]
pub(crate) struct Kept {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    output: Output,
}

/// Put the rows that a plan changed back as they were, to the byte. Rows that were changed since are named, and stay.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste fix undo 7 --database postgresql://app@db/shop --yes  # of run 7\n  \
    posthaste fix undo 7 --with-structure  # also what it added\n  \
    # by the plan's name\n  \
    posthaste fix undo fix-shop-20260301-090000 \\\n    \
    --database postgresql://app@db/shop")]
pub(crate) struct Undo {
    /// The run's number, or the plan's name.
    run: String,
    /// Take the whole run back, the last step first: also drop the constraints and indexes that it added.
    #[arg(long)]
    with_structure: bool,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Fix {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Fix::Plan(command) => command.run().await?,
            Fix::Sessions(command) => command.run().await?,
            Fix::Show(command) => command.run().await?,
            Fix::Compare(command) => command.run().await?,
            Fix::Kept(command) => {
                let kept = fix::kept(&command.address.target()?).await?;
                let columns = [
                    ("PLAN", "plan"),
                    ("STEPS", "steps"),
                    ("ROWS", "rows"),
                    ("TAKEN BACK", "takenBack"),
                    ("LAST", "lastAt"),
                ];
                command.output.list("kept", &kept, &columns)?;
            }
            Fix::Undo(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Plan {
    async fn run(self) -> anyhow::Result<()> {
        let policies = Policies::parse(&self.policy)?;
        let reports = self.from.iter().map(|path| read_report(path)).collect::<Result<Vec<_>, _>>()?;
        let mut outcome = self.what.check().await?;
        policies.check_tables(&outcome.catalog)?;
        let (own, others): (Vec<Report>, Vec<Report>) =
            reports.into_iter().partition(|report| report.tool == "integrity");
        if !self.from.is_empty() {
            outcome.faults.retain(|fault| {
                own.iter().any(|report| report.findings.iter().any(|f| is_same(f, &fault.finding)))
            });
        }
        let others: Vec<Finding> = others.into_iter().flat_map(|report| report.findings).collect();
        let name = self.name.clone().unwrap_or_else(|| new_name(&outcome));
        let order = Order { name: &name, policies: &policies, others: &others };
        self.write(&fix::plan(&outcome, &order))
    }

    fn write(&self, plan: &Data) -> anyhow::Result<()> {
        let text = plan.to_toml()?;
        match &self.out {
            None => output::text(&text)?,
            Some(path) => std::fs::write(path, &text).map_err(|error| {
                Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
            })?,
        }
        for note in &plan.notes {
            talk(note);
        }
        let steps = plan.steps().count() as u64;
        talk(&format!(
            "{} in {}",
            output::counted(steps, "step"),
            output::counted(plan.phases.len() as u64, "phase")
        ));
        Ok(())
    }
}

/// Not in the database yet: names have the time in them.
fn new_name(outcome: &Outcome) -> String {
    let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("fix-{}-{time}", outcome.report.target.name)
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    one.code == other.code && one.object == other.object
}

fn read_report(path: &Path) -> Result<Report, Error> {
    let name = path.display().to_string();
    let wrong = |message: String| Error::new(Code::InvalidFile, message).field(name.clone());
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text)
        .map_err(|error| wrong(error.to_string()).expected("a report from `--format json`"))
}

#[derive(Debug, Serialize)]
struct Change {
    code: String,
    table: String,
    columns: Vec<String>,
    before: i64,
    now: i64,
}

impl Change {
    fn of(finding: &Finding, before: i64, now: i64) -> Self {
        let object = &finding.object;
        let parts = [object.schema.clone(), object.table.clone()];
        let table = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
        Self { code: finding.code.clone(), table, columns: object.columns.clone(), before, now }
    }
}

impl Compare {
    async fn run(self) -> anyhow::Result<()> {
        let before = read_report(&self.before)?;
        let now = self.what.check().await?.report;
        let rows = |finding: &Finding| finding.counts.get("rows").copied().unwrap_or_default();
        let of = |findings: &[Finding], one: &Finding| {
            findings.iter().find(|finding| is_same(finding, one)).map(rows).unwrap_or_default()
        };
        let counted = |finding: &&Finding| finding.counts.contains_key("rows");
        let old =
            before.findings.iter().filter(counted).map(|f| Change::of(f, rows(f), of(&now.findings, f)));
        let is_new = |finding: &&Finding| !before.findings.iter().any(|old| is_same(old, finding));
        let new = now.findings.iter().filter(counted).filter(is_new).map(|f| Change::of(f, 0, rows(f)));
        let changes: Vec<Change> = old.chain(new).collect();
        let columns = [
            ("CODE", "code"),
            ("TABLE", "table"),
            ("COLUMNS", "columns"),
            ("BEFORE", "before"),
            ("NOW", "now"),
        ];
        self.output.list("changes", &changes, &columns)
    }
}

impl Undo {
    async fn run(self) -> anyhow::Result<()> {
        let target = self.address.target()?;
        if self.with_structure {
            return self.whole(&target).await;
        }
        let name = name_of(&target, &self.run).await?;
        let kept = fix::kept(&target).await?;
        let Some(found) = kept.iter().find(|kept| kept.plan == name) else {
            return Err(Error::new(Code::NotFound, format!("no rows are kept of a plan `{name}`"))
                .hint("`posthaste fix kept` lists what can be taken back")
                .into());
        };
        let rows = u64::try_from(found.rows - found.taken_back).unwrap_or_default();
        if !self.consent.get(&format!("put {} back as they were", output::counted(rows, "row")))? {
            return Ok(());
        }
        let mut done = Vec::new();
        let outcome = fix::take_back(&target, &name, |step| {
            talk(&format!(
                "{}: {}",
                step.step,
                output::counted(u64::try_from(step.rows).unwrap_or_default(), "row")
            ));
            done.push(step);
        })
        .await;
        outcome?;
        self.output.list("taken_back", &done, &[("STEP", "step"), ("ROWS", "rows")])
    }

    async fn whole(&self, target: &Target) -> anyhow::Result<()> {
        let found = run_of(target, &self.run).await?;
        let run =
            found.ok_or_else(|| Error::new(Code::NotFound, format!("there is no run of `{}`", self.run)))?;
        if !self.consent.get(&format!("take back all that run {} ({}) has done", run.id, run.title))? {
            return Ok(());
        }
        let options = posthaste_runner::RunOptions { started_by: operator(), ..Default::default() };
        let run = posthaste_runner::undo(target, run.id, options, Teller::default().observer()).await?;
        super::runs::print(&run, self.output)
    }
}

/// A run is known by its plan's name.
async fn name_of(target: &Target, run: &str) -> Result<String, Error> {
    match run.parse::<i64>() {
        Ok(run) => Ok(posthaste_runner::show(target, run).await?.title),
        Err(_) => Ok(run.to_owned()),
    }
}

/// By its number, or the newest of the plan of that name.
async fn run_of(target: &Target, run: &str) -> Result<Option<Run>, Error> {
    match run.parse::<i64>() {
        Ok(run) => Ok(Some(posthaste_runner::show(target, run).await?)),
        Err(_) => {
            Ok(posthaste_runner::list(target, 1_000).await?.into_iter().find(|found| found.title == run))
        }
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let target = self.address.target()?;
        let mut measured = fix::measured(&target, &name_of(&target, &self.run).await?).await?;
        if let Some(run) = run_of(&target, &self.run).await? {
            let ends = fix::session_ends(&target, Some(&run)).await?;
            measured.extend(ends.iter().map(fix::SessionEnd::measured));
        }
        let columns = [("WHAT", "what"), ("NAME", "name"), ("BEFORE", "before"), ("AFTER", "after")];
        self.output.list("measured", &measured, &columns)
    }
}

impl Sessions {
    async fn run(self) -> anyhow::Result<()> {
        let target = self.address.target()?;
        let Some(path) = &self.plan else {
            let columns = [
                ("AT", "at"),
                ("PID", "pid"),
                ("OUTCOME", "outcome"),
                ("WHY", "why"),
                ("ROLE", "role"),
                ("APPLICATION", "application"),
                ("QUERY", "query"),
            ];
            return self.output.list("sessions", &fix::session_ends(&target, None).await?, &columns);
        };
        let plan = super::run::read_plan(path)?;
        let columns = [
            ("STEP", "step"),
            ("WOULD", "would"),
            ("PID", "pid"),
            ("ROLE", "role"),
            ("APPLICATION", "application"),
            ("STATE", "state"),
            ("QUERY", "query"),
        ];
        self.output.list("sessions", &fix::meant(&target, &plan).await?, &columns)
    }
}
