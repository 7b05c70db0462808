//! Runs the binary in a folder of its own, with nothing in its environment that the test did not put there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use posthaste_testkit::db::TestDb;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything here takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary with a working folder, which goes with it, and an environment.
pub(crate) struct Program {
    pub(crate) folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Program {
    /// Without a database of its own: commands would start a private server in the working folder.
    pub(crate) fn alone() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("posthaste-cli-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let data = folder.join("data").to_string_lossy().into_owned();
        let mut environment = vec![("POSTHASTE_DATABASE__DATA_DIR".to_owned(), data)];
        let kept = ["PATH", "PG_BIN"].map(|name| (name.to_owned(), std::env::var(name).unwrap_or_default()));
        environment.extend(kept);
        Self { folder, environment }
    }

    pub(crate) fn with(db: &TestDb) -> Self {
        Self::alone().env("DATABASE_URL", &db.url)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path(name), text).expect("to write a file");
        self
    }

    pub(crate) fn config(self, text: &str) -> Self {
        self.file("posthaste.toml", text)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn data_folder(&self) -> PathBuf {
        self.path("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
        command.args(arguments).current_dir(&self.folder).env_clear().envs(self.environment.iter().cloned());
        command
    }

    /// A process of which only its end is of interest.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("to start the binary")
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_input(arguments, "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let start = Instant::now();
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("to start the binary");
        // Who reads nothing may be gone before it is written.
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("its end");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            took: start.elapsed(),
        }
    }

    /// What a command prints as JSON, below the name that it has in the document.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], name: &str) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--format", "json"]);
        let outcome = self.run(&arguments);
        let mut document: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error} in {outcome:#?}"));
        assert_eq!(document["version"], 1);
        document[name].take()
    }

    /// A node on a free port, which has said that it listens.
    #[track_caller]
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        let mut serving = self.start(arguments);
        let said = serving.wait_for("listening on http://");
        let address = said.split("listening on http://").nth(1).and_then(|rest| rest.split(' ').next());
        serving.address = address.expect("an address").to_owned();
        serving
    }

    /// A node of which nothing is expected yet.
    pub(crate) fn start(&self, arguments: &[&str]) -> Serving {
        let mut command = self.command(&[&["serve"], arguments].concat());
        command
            .env("POSTHASTE_SERVER__LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("to start the binary");
        let (sender, said) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("its errors"));
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Serving { address: String::new(), child, said }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A node that was killed leaves its private server running.
        let pid = std::fs::read_to_string(self.data_folder().join("data/postmaster.pid")).unwrap_or_default();
        let pid = pid.lines().next().and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Outcome {
    /// Asserts the exit code, and that each of `texts` was said.
    #[track_caller]
    pub(crate) fn check(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in texts {
            assert!(self.stdout.contains(text) || self.stderr.contains(text), "`{text}` is not in {self:#?}");
        }
        self
    }
}

/// A node that runs. It is killed when it is dropped.
pub(crate) struct Serving {
    pub(crate) address: String,
    child: Child,
    said: Receiver<String>,
}

impl Serving {
    /// The first line from now on that holds `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut all = Vec::new();
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return line;
            }
            all.push(line);
        }
        panic!("`{text}` was not said: {all:#?}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("to signal the node");
    }

    /// Waits for its end: the exit code, none after a kill, and what it said since it was last listened to.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let said = self.said.iter().collect::<Vec<_>>().join("\n");
        (self.child.wait().expect("its end").code(), said)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http(&self.address, &format!("GET {path} HTTP/1.1\r\n"), "")
    }

    pub(crate) fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n{headers}");
        http(&self.address, &head, body)
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    pub(crate) fn get_until(&self, path: &str, is_wanted: impl Fn(u16, &str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.get(path);
            if is_wanted(status, &body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} answers {status}: {body}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn http(address: &str, head: &str, body: &str) -> (u16, String) {
    let port = address.rsplit(':').next().expect("a port");
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("to connect");
    let request =
        format!("{head}host: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).expect("to send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

/// Asserts that a text is what the golden file of that name holds. `UPDATE_GOLDEN=1` writes it anew.
#[track_caller]
pub(crate) fn check_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("to write the golden file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{} differs, expected:\n{expected}\nfound:\n{text}", path.display());
}
