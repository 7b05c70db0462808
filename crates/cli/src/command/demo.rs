//! `posthaste demo`: everything at once, on a private PostgreSQL, with a receiver: events arrive, fail, wait and come
//! home, and every one of them is accounted for.
//!
//! The story is here; its parts are in the folder. It plays the operator and the application, so it does nothing
//! that they could not do. Not for: measuring anything (see `bench`).

mod account;
mod cast;
mod receiver;
mod screen;
mod sender;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use posthaste_base::{Code, Error};
use posthaste_broker::{Broker, DeadLetterFilter, DiscardIn, RedriveIn, RedriveStatus};
use posthaste_engine::triage::Action;
use posthaste_observe::logs;
use posthaste_store::schema;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::account::Account;
use self::cast::Cast;
use self::receiver::Receiver;
use self::screen::Screen;
use self::sender::Sender;
use super::dlq::triage_text;
use crate::config::{Config, Place};
use crate::database::{Database, Use, open_broker};
use crate::failure::FINDINGS;
use crate::node::{self, Node};
use crate::output::{self, counted};
use crate::seal;

/// How long the calendar's endpoint fails.
const FAILING_FOR: Duration = Duration::from_secs(12);
/// How long to wait for anything that should come by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Show what Posthaste does, with a receiver and a private PostgreSQL of its own; about 30 seconds.
#[derive(Args, Debug)]
#[command(
    before_long_help = "Examples:\n  \
    posthaste demo\n  \
    posthaste demo --keep             # leave it running at the end\n  \
    posthaste demo --data-dir ./demo  # in a folder that stays",
    after_long_help = "Ends with 0 when every event is accounted for, and with 1 when one is not. It never touches \
    the database that DATABASE_URL names."
)]
pub(crate) struct Demo {
    /// Leave everything running at the end, until it is interrupted.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        logs::start(posthaste_observe::LogFormat::Readable, Some(&log_filter()))?;
        let metrics = posthaste_observe::install()?;
        let stop = CancellationToken::new();
        tokio::spawn(super::serve::hear_signals(stop.clone())?);
        let folder = Folder::make(place.data_dir.as_deref(), self.keep)?;
        let cast = Cast::new()?;
        let receiver = Receiver::start(&cast).await?;
        let config_path = folder.path.join("posthaste.toml");
        let text = cast.configuration(receiver.address, &folder.path, place.pg_bin.as_deref());
        std::fs::write(&config_path, &text).map_err(|error| in_folder(&config_path, &error))?;
        let config = Config::of_text(config_path, &text)?;
        say("starting a private PostgreSQL (fsync on, checksums on)");
        let size = config.database.pool_size as usize;
        let database = Database::open(&config.database, size, Use::Node, say).await?;
        let told = async {
            schema::upgrade(&database.pool).await?;
            let broker = open_broker(&database.pool, &config, Some(seal::find_or_make(&config)?)).await?;
            node::apply(&config, &broker).await?;
            let node = Node::start(&config, &broker, Some(metrics)).await?;
            let story =
                Story { cast: &cast, receiver: &receiver, broker: &broker, database: &database, node: &node };
            let told = stop.run_until_cancelled(story.tell()).await;
            if self.keep && matches!(told, Some(Ok(_))) {
                story.say_where(&folder.path);
                stop.cancelled().await;
            }
            node.stop().await?;
            told.unwrap_or_else(|| Err(Error::new(Code::Timeout, "the demonstration was interrupted").into()))
        };
        let told: anyhow::Result<bool> = told.await;
        database.stop().await?;
        drop(folder);
        Ok(if told? { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
    }
}

/// Who and what the story is told with.
struct Story<'a> {
    cast: &'a Cast,
    receiver: &'a Receiver,
    broker: &'a Broker,
    database: &'a Database,
    node: &'a Node,
}

impl Story<'_> {
    /// From the first event to the summary; answers with whether every event is accounted for.
    async fn tell(&self) -> anyhow::Result<bool> {
        let Some(address) = self.node.address else { return Ok(false) };
        say(&format!(
            "the node listens on http://{address}, the receiver on http://{}",
            self.receiver.address
        ));
        self.receiver.fail(cast::CALENDAR);
        let started = Instant::now();
        let mut screen = Screen::new(started);
        say("sending events of four types: over HTTP, and from SQL in the transaction of an application");
        let sender = Sender::new(address)?;
        let mut account = Account::default();
        sender.send_over_http(self.cast, &mut account).await?;
        sender.send_from_sql(self.cast, &self.database.pool, &mut account).await?;
        say(&account.said());
        say(&format!("endpoint `{}` answers 503 from now on; its breaker will open", cast::CALENDAR));

        self.watch(&mut screen, &mut account, |_, _| started.elapsed() >= FAILING_FOR).await?;
        self.receiver.heal(cast::CALENDAR);
        screen.leave();
        say(&format!("endpoint `{}` is healed; what was put off is delivered by itself", cast::CALENDAR));
        self.watch(&mut screen, &mut account, |account, _| account.open() == 0).await?;
        screen.leave();
        self.recover(&mut screen, &mut account).await?;
        screen.leave();
        account.look(self.receiver, self.broker).await?;
        output::text(&account.summary(self.receiver))?;
        Ok(account.is_balanced(self.receiver))
    }

    /// The operator's part: look what died and why, redrive what can succeed now, archive what cannot.
    async fn recover(&self, screen: &mut Screen, account: &mut Account) -> anyhow::Result<()> {
        say("what died, as `posthaste dlq triage` sorts it:\n");
        let sorted = self.broker.triage_dead(None).await?;
        output::text(&indented(&triage_text(&sorted)))?;
        for group in &sorted.redrives {
            let redrive = RedriveIn {
                filter: group.filter.clone(),
                max_messages: Some(1_000),
                per_message_delay_jitter: Some(1),
                rate_per_second: None,
                started_by: "demo".into(),
            };
            let run = self.broker.start_redrive(&redrive).await?;
            let letters = counted(u64::try_from(run.total).unwrap_or_default(), "letter");
            say(&format!("redrive {} gives `{}` back: {letters}", run.id, group.cause));
            let deadline = Instant::now() + PATIENCE;
            while self.broker.redrive(run.id).await?.status == RedriveStatus::Running {
                give_up_after(deadline, "the redrive")?;
                sleep(LOOK_EVERY).await;
            }
        }
        let refused = sorted.triage.groups.iter().filter(|group| group.action != Action::Redrive);
        for group in refused {
            let ids = group.message_ids.iter().filter_map(|id| id.parse().ok()).collect();
            let discard = DiscardIn {
                filter: DeadLetterFilter::of_ids(ids),
                reason: format!("{}: {}", group.cause, group.reason).chars().take(500).collect(),
                max_messages: None,
                discarded_by: "demo".into(),
            };
            let done = self.broker.discard_dead(&discard).await?;
            account.discarded += done.discarded;
            let letters = counted(done.discarded, "letter");
            say(&format!("archived `{}`: {letters}, which no redrive can help", group.cause));
        }
        self.watch(screen, account, |account, dead| account.open() == 0 && dead == 0).await
    }

    /// Shows how things get on until `is_over`.
    async fn watch(
        &self,
        screen: &mut Screen,
        account: &mut Account,
        is_over: impl Fn(&Account, i64) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            account.look(self.receiver, self.broker).await?;
            let breaker = self.broker.get_endpoint(cast::CALENDAR).await?.breaker;
            let breaker = breaker.and_then(|state| Some(state.get("state")?.as_str()?.to_owned()));
            screen.show(account, self.receiver, breaker.as_deref().unwrap_or("closed"))?;
            if is_over(account, account.dead()) {
                return Ok(());
            }
            give_up_after(deadline, "the deliveries")?;
            sleep(LOOK_EVERY).await;
        }
    }

    fn say_where(&self, folder: &Path) {
        let address = self.node.address.map(|address| address.to_string()).unwrap_or_default();
        let config = folder.join("posthaste.toml");
        say(&format!(
            "it goes on running, until it is interrupted (Ctrl-C)\n  \
             HTTP       http://{address}    try: curl -s http://{address}/health\n  \
             receiver   http://{}\n  \
             database   {}\n  \
             commands   posthaste --config {} queue list",
            self.receiver.address,
            self.database.target().redacted(),
            config.display()
        ));
    }
}

/// The folder of the demonstration, which goes with it unless it was asked to stay.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn make(named: Option<&Path>, keep: bool) -> Result<Self, Error> {
        let temporary = || std::env::temp_dir().join(format!("posthaste-demo-{}", std::process::id()));
        let path = named.map_or_else(temporary, Path::to_owned);
        std::fs::create_dir_all(&path).map_err(|error| in_folder(&path, &error))?;
        Ok(Self { path, is_temporary: named.is_none() && !keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn in_folder(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::InvalidFile, format!("failed to write `{}`: {error}", path.display()))
        .field("--data-dir")
        .expected("a folder that can be written to")
}

fn give_up_after(deadline: Instant, what: &str) -> Result<(), Error> {
    if Instant::now() < deadline {
        return Ok(());
    }
    let message = format!("{what} took longer than {} s", PATIENCE.as_secs());
    Err(Error::new(Code::Timeout, message).hint("run it again with RUST_LOG=info to see what happens"))
}

fn say(text: &str) {
    // A reader that went away misses the talk; the summary will notice.
    let _ = output::line(format!("- {text}"));
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect::<String>() + "\n"
}

/// What goes wrong on purpose would fill the screen with warnings.
fn log_filter() -> String {
    std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty()).unwrap_or_else(|| "error".into())
}
