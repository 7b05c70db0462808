//! The other processes of a benchmark, which are this same program: nodes and the receiver.
//!
//! They are processes of their own so that their CPU time and memory can be told apart, and so that they can be
//! killed. Not for: what they do.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use posthaste_base::{Code, Error};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::ground::Ground;
use super::measure::Process;

const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A node in a process of its own; killed when it is dropped.
pub(super) struct Node {
    pub address: SocketAddr,
    pub process: Process,
    child: Child,
}

impl Node {
    /// Starts `posthaste serve` with a configuration, and waits until it listens.
    pub(super) async fn start(ground: &Ground, name: &str, configuration: &str) -> anyhow::Result<Self> {
        let file = |kind: &str| ground.folder.path.join(format!("{name}.{kind}"));
        let (config, port_file, log) = (file("toml"), file("port"), file("log"));
        std::fs::write(&config, configuration)?;
        let _ = std::fs::remove_file(&port_file);
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = this_program()?;
        command.arg("--config").arg(config).arg("serve").arg("--port-file").arg(&port_file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let mut child = command.spawn()?;
        let process = process_of(&child)?;
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let text = std::fs::read_to_string(&port_file).unwrap_or_default();
            if let Ok(address) = text.trim().parse() {
                return Ok(Self { address, process, child });
            }
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(did_not_start(&log).into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Ends it as an operator would, and waits for it.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_raw(self.process.pid.cast_signed());
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(Ok(ended)) if ended.success() => Ok(()),
            _ => Err(Error::new(Code::Timeout, "a node did not end in order").into()),
        }
    }

    /// Ends it as a failing machine would.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The receiver in a process of its own; killed when it is dropped.
pub(super) struct Receiver {
    pub address: SocketAddr,
    pub process: Process,
    _child: Child,
}

impl Receiver {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let mut command = this_program()?;
        command.args(["bench", "receiver"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let process = process_of(&child)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).await?;
        }
        let address = line
            .trim()
            .parse()
            .map_err(|_| Error::new(Code::Internal, "the receiver did not say where it listens"))?;
        Ok(Self { address, process, _child: child })
    }
}

/// The sections of a node that delivers events of the types `bench-0`, `bench-1` and so on, each to an endpoint of its
/// own at the receiver: `path` is what it does there.
pub(super) fn deliveries(receiver: SocketAddr, paths: &[&str], in_flight_max: u32) -> String {
    let mut text = String::from(
        "[server]\nlisten = \"127.0.0.1:0\"\nlog_filter = \"warn\"\n\n[delivery]\nallow_networks = [\"127.0.0.0/8\"]\n",
    );
    for (number, path) in paths.iter().enumerate() {
        let _ = write!(
            text,
            "\n[types.bench-{number}]\npriority = \"normal\"\n\n\
             [endpoints.bench-{number}]\nurl = \"http://{receiver}/{path}/{number}\"\nin_flight_max = {in_flight_max}\n\n\
             [subscriptions.bench-{number}]\ntopic = \"bench-{number}\"\nendpoint = \"bench-{number}\"\n"
        );
    }
    text
}

fn this_program() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // What the environment says of other databases and nodes does not hold here.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("POSTHASTE_") || name == "DATABASE_URL") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true);
    Ok(command)
}

fn process_of(child: &Child) -> Result<Process, Error> {
    let gone = || Error::new(Code::Internal, "a process ended as soon as it began");
    child.id().map(|pid| Process { pid }).ok_or_else(gone)
}

fn did_not_start(log: &PathBuf) -> Error {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let last = log.lines().rfind(|line| line.starts_with("error")).unwrap_or("it said nothing").to_owned();
    Error::new(Code::Unavailable, format!("a node did not start: {last}"))
}
