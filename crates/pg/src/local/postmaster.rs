//! The server's process: start, readiness, adoption, signals.
//!
//! Not for: the files of the cluster (`cluster`).

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::cluster::{Cluster, PORT};
use super::failed;
use crate::{Error, Pool, PoolOptions, Result, Target};

/// How to end the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, everything is written; no recovery is needed.
    Fast,
    /// Sessions are cut, nothing is written; the next start recovers.
    Immediate,
    /// A crash: the postmaster cannot even tell its children.
    Kill,
}

/// A server process that is ready for connections.
pub struct Postmaster {
    pid: Pid,
    /// Our own child has to be waited for; an adopted server has another parent.
    child: Option<Child>,
    data_folder: PathBuf,
    target: Target,
    loopback_port: Option<u16>,
}

impl Postmaster {
    /// The server that runs in the cluster's folder already, if there is one.
    pub(super) async fn adopt(cluster: &Cluster, deadline: Instant) -> Result<Option<Self>> {
        let path = cluster.data_folder().join("postmaster.pid");
        loop {
            let Some(file) = PidFile::read(&path) else { return Ok(None) };
            if !is_running(file.pid) {
                return Ok(None);
            }
            if !is_postgres(file.pid) {
                // Another process has got the number since, which PostgreSQL itself cannot tell: remove the file.
                std::fs::remove_file(&path).map_err(|error| failed(error.to_string()))?;
                return Ok(None);
            }
            if file.status == "ready" {
                let target = cluster.target(&file.socket_folder, file.port);
                match check_answers(&target).await {
                    Ok(()) => {
                        let data_folder = cluster.data_folder();
                        let loopback_port = file.listens.then_some(file.port);
                        return Ok(Some(Self {
                            pid: file.pid,
                            child: None,
                            data_folder,
                            target,
                            loopback_port,
                        }));
                    }
                    Err(error) if Instant::now() >= deadline => return Err(error),
                    Err(_) => {}
                }
            } else if Instant::now() >= deadline {
                return Err(failed(format!(
                    "a server in `{}` is still {}",
                    cluster.folder.display(),
                    file.status
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) async fn start(cluster: &Cluster, deadline: Instant) -> Result<Self> {
        loop {
            match Self::start_once(cluster, deadline).await {
                // Children of a postmaster that was killed need a moment to notice that it is gone.
                Err(error) if is_still_in_use(cluster) && Instant::now() < deadline => {
                    tracing::debug!(%error, "processes of the former server are still there");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                result => return result,
            }
        }
    }

    async fn start_once(cluster: &Cluster, deadline: Instant) -> Result<Self> {
        let log_path = cluster.folder.join("start.log");
        let log = OpenOptions::new().create(true).write(true).truncate(true).open(&log_path);
        let log =
            log.map_err(|error| failed(format!("could not write `{}`: {error}", log_path.display())))?;
        let mut command = cluster.command("postgres");
        command.arg("-D").arg(cluster.data_folder());
        command.arg("-k").arg(&cluster.socket_folder).arg("-p");
        match cluster.options.loopback_port {
            Some(port) => command.arg(port.to_string()).args(["-c", "listen_addresses=127.0.0.1"]),
            None => command.arg(PORT.to_string()).args(["-c", "listen_addresses="]),
        };
        // Its own process group: an interrupt at the terminal is for us, and we stop the server in order.
        let output = log.try_clone().map_err(|error| failed(error.to_string()))?;
        command.process_group(0).stdout(Stdio::from(output)).stderr(Stdio::from(log));
        let child = command.spawn().map_err(|error| failed(format!("postgres could not be run: {error}")))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed("postgres has no process id"))?;
        let port = cluster.options.loopback_port.unwrap_or(PORT);
        let target = cluster.target(&cluster.socket_folder, port);
        let loopback_port = cluster.options.loopback_port;
        let mut postmaster =
            Self { pid, child: Some(child), data_folder: cluster.data_folder(), target, loopback_port };
        match postmaster.wait_until_ready(cluster, deadline).await {
            Ok(()) => Ok(postmaster),
            Err(error) => {
                let _ = kill_process(pid, Signal::QUIT);
                postmaster.wait_until_gone(Instant::now() + Duration::from_secs(5)).await;
                Err(error)
            }
        }
    }

    async fn wait_until_ready(&mut self, cluster: &Cluster, deadline: Instant) -> Result<()> {
        let path = cluster.data_folder().join("postmaster.pid");
        let begin = Instant::now();
        let mut next_word = begin + Duration::from_secs(2);
        loop {
            if !self.is_alive() {
                return Err(failed_with_log("the server ended at once", cluster));
            }
            let file = PidFile::read(&path).filter(|file| file.pid == self.pid);
            if file.is_some_and(|file| file.status == "ready") && check_answers(&self.target).await.is_ok() {
                return Ok(());
            }
            let now = Instant::now();
            if now >= deadline {
                let seconds = (now - begin).as_secs();
                return Err(failed_with_log(&format!("the server is not ready after {seconds} s"), cluster));
            }
            if now >= next_word {
                let last = log_tail(cluster, 1).pop().unwrap_or_default();
                let seconds = (now - begin).as_secs();
                cluster
                    .options
                    .say(&format!("PostgreSQL is starting or recovering, {seconds} s so far: {last}"));
                next_word = now + Duration::from_secs(5);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Where it listens beside its socket, whatever the options say.
    pub(super) fn loopback_port(&self) -> Option<u16> {
        self.loopback_port
    }

    pub fn is_adopted(&self) -> bool {
        self.child.is_none()
    }

    pub fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_running(self.pid) && is_postgres(self.pid),
        }
    }

    /// Ends the server and waits until its process is gone.
    pub async fn stop(&mut self, how: Shutdown) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        // What carries the number now may be another process, if the file does not name it any more.
        let is_ours =
            PidFile::read(&self.data_folder.join("postmaster.pid")).is_some_and(|file| file.pid == self.pid);
        if !is_ours && self.child.is_none() {
            return Ok(());
        }
        let signal = match how {
            Shutdown::Fast => Signal::INT,
            Shutdown::Immediate => Signal::QUIT,
            Shutdown::Kill => Signal::KILL,
        };
        kill_process(self.pid, signal)
            .map_err(|error| failed(format!("could not signal the server: {error}")))?;
        if self.wait_until_gone(Instant::now() + Duration::from_secs(60)).await {
            return Ok(());
        }
        // A fast shutdown writes a checkpoint, which a slow disk may not finish. Recovery loses nothing.
        let _ = kill_process(self.pid, Signal::QUIT);
        match self.wait_until_gone(Instant::now() + Duration::from_secs(10)).await {
            true => Ok(()),
            false => Err(failed(format!("the server with process id {} does not stop", self.pid()))),
        }
    }

    async fn wait_until_gone(&mut self, deadline: Instant) -> bool {
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }
}

const POLL: Duration = Duration::from_millis(20);

struct PidFile {
    pid: Pid,
    port: u16,
    socket_folder: PathBuf,
    listens: bool,
    status: String,
}

impl PidFile {
    /// `None` where there is no file; a file that is still being written has an empty status.
    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let line = |number: usize| text.lines().nth(number - 1).unwrap_or_default().trim();
        Some(Self {
            pid: line(1).parse().ok().and_then(Pid::from_raw)?,
            port: line(4).parse().unwrap_or(PORT),
            socket_folder: PathBuf::from(line(5)),
            listens: !line(6).is_empty(),
            status: line(8).to_owned(),
        })
    }
}

fn is_running(pid: Pid) -> bool {
    match test_kill_process(pid) {
        Ok(()) => true,
        // It is there, but it is not ours.
        Err(error) => error == rustix::io::Errno::PERM,
    }
}

/// Whether that process is a PostgreSQL server and not a zombie. Without `/proc` the pid file is believed.
fn is_postgres(pid: Pid) -> bool {
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    if !Path::new("/proc/self").exists() {
        return true;
    }
    // A zombie has an empty command line.
    let command_line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let program = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(program).contains("postgres")
}

async fn check_answers(target: &Target) -> Result<()> {
    let target = target.clone().with_database("postgres");
    let pool = Pool::lazy(
        target,
        PoolOptions { name: "local", connect: Duration::from_secs(5), ..PoolOptions::of_size(1) },
    )?;
    pool.get().await.map(drop)
}

fn is_still_in_use(cluster: &Cluster) -> bool {
    let said = read_end(&cluster.folder.join("start.log"));
    said.contains("is still in use")
        || said.contains("is being used by another")
        || said.contains("Is another postmaster")
}

fn failed_with_log(what: &str, cluster: &Cluster) -> Error {
    let lines = log_tail(cluster, 8).join("\n  ");
    let folder = cluster.data_folder().join("log");
    Error::Local(
        posthaste_base::Error::new(
            posthaste_base::Code::PostgresFailed,
            format!("{what}; its log ends with\n  {lines}"),
        )
        .hint(format!(
            "read `{}` and `{}`",
            cluster.folder.join("start.log").display(),
            folder.display()
        )),
    )
}

/// The last lines that the server wrote, before and after it opened its own log.
fn log_tail(cluster: &Cluster, count: usize) -> Vec<String> {
    let mut text = read_end(&cluster.folder.join("start.log"));
    let entries = std::fs::read_dir(cluster.data_folder().join("log")).into_iter().flatten().flatten();
    let newest = entries.max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
    if let Some(newest) = newest {
        text.push_str(&read_end(&newest.path()));
    }
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

fn read_end(path: &Path) -> String {
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
