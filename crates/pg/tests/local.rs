//! The local server outlives its supervisor, comes back when it is killed, and stops when it is told to.

use std::path::PathBuf;
use std::time::Duration;

use posthaste_base::Code;
use posthaste_pg::local::{Account, Cluster, LocalOptions, LocalServer, ServerState};
use posthaste_pg::{Pool, Target};
use rustix::process::{Pid, Signal, kill_process};

fn options(name: &str) -> LocalOptions {
    let folder = std::env::temp_dir().join(format!("posthaste-local-{name}-{}", std::process::id()));
    let mut options = LocalOptions::in_folder(folder);
    options.is_durable = false;
    options.start_within = Duration::from_secs(60);
    options
}

async fn remove(options: LocalOptions) {
    Cluster::open(options).expect("the cluster").remove().await.expect("to remove it");
}

async fn ask(target: &Target, statement: &str) -> String {
    let pool = Pool::connect(target.clone(), 1).await.expect("to connect");
    let connection = pool.get().await.expect("a connection");
    connection.query_one(statement, &[]).await.expect(statement).get(0)
}

fn pid_of(server: &LocalServer) -> i32 {
    match *server.state().borrow() {
        ServerState::Running { pid, .. } => pid,
        ref other => panic!("{other:?}"),
    }
}

/// A zombie does not run: where one test process is the parent and the adopter, nobody waits for the child.
fn is_running(pid: i32) -> bool {
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    !command_line.is_empty()
}

#[tokio::test]
async fn a_new_server_is_durable_private_and_ours() {
    let options = options("new");
    let server = LocalServer::start(options.clone()).await.expect("to start");
    assert!(!server.is_adopted());
    let settings = "select concat_ws(' ', current_setting('fsync'), current_setting('data_checksums'),
        current_setting('full_page_writes'), current_setting('listen_addresses'),
        current_setting('max_connections'), current_setting('timezone'), current_database())";
    assert_eq!(ask(server.target(), settings).await, "on on on  200 UTC posthaste");
    use std::os::unix::fs::MetadataExt;
    let account = Account::choose(None).expect("an account");
    for name in ["", "data", "socket"] {
        let metadata = std::fs::metadata(options.folder.join(name)).expect(name);
        assert_eq!((metadata.mode() & 0o777, metadata.uid()), (0o700, account.uid), "{name}");
    }
    let pid = pid_of(&server);
    server.stop().await.expect("to stop");
    assert!(!is_running(pid));
    remove(options).await;
}

#[tokio::test]
async fn a_server_whose_supervisor_was_killed_is_adopted() {
    let options = options("adopt");
    // This test binary itself is the supervisor that gets killed.
    let mut supervisor = tokio::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "supervise_until_killed", "--nocapture"])
        .env("POSTHASTE_SUPERVISE", &options.folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("to start the supervisor");
    let ready = options.folder.join("supervisor-is-ready");
    while !ready.exists() {
        assert!(supervisor.try_wait().expect("its state").is_none(), "the supervisor ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid: i32 = std::fs::read_to_string(&ready).expect("a pid").parse().expect("a number");
    supervisor.kill().await.expect("kill -9");
    assert!(is_running(pid), "the server outlives its supervisor");

    let server = LocalServer::start(options.clone()).await.expect("to adopt");
    assert!(server.is_adopted());
    assert_eq!(pid_of(&server), pid);
    assert_eq!(ask(server.target(), "select 'here'").await, "here");
    server.stop().await.expect("to stop an adopted server");
    remove(options).await;
}

/// Not a test of its own: the other half of the test above.
#[tokio::test]
async fn supervise_until_killed() {
    let Some(folder) = std::env::var_os("POSTHASTE_SUPERVISE").map(PathBuf::from) else { return };
    let server = LocalServer::start(LocalOptions::in_folder(&folder)).await.expect("to start");
    let unfinished = folder.join("supervisor-is-almost-ready");
    std::fs::write(&unfinished, pid_of(&server).to_string()).expect("to write");
    std::fs::rename(unfinished, folder.join("supervisor-is-ready")).expect("to rename");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_server_is_started_again_and_the_supervisor_says_so() {
    let options = options("watch");
    let server = LocalServer::start(options.clone()).await.expect("to start");
    let pool = Pool::connect(server.target().clone(), 2).await.expect("to connect");
    let connection = pool.get().await.expect("a connection");
    connection.batch_execute("create table t (n int); insert into t values (1)").await.expect("to write");
    drop(connection);
    let mut state = server.state();
    let pid = pid_of(&server);
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("kill -9");
    let running = state.wait_for(|state| matches!(state, ServerState::Running { restarts: 1, .. }));
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("in time").expect("a state");
    assert_ne!(pid_of(&server), pid);
    assert_eq!(ask(server.target(), "select count(*)::text from t").await, "1");
    pool.get().await.expect("the pool recovers").simple_query("select 1").await.expect("it works");
    server.stop().await.expect("to stop");
    remove(options).await;
}

#[tokio::test]
async fn two_starters_share_one_server_and_the_last_one_stops_it() {
    let options = options("race");
    let start = || LocalServer::start(options.clone());
    let (one, other) = tokio::join!(start(), start());
    let (one, other) = (one.expect("the one"), other.expect("the other"));
    assert_eq!(pid_of(&one), pid_of(&other));
    assert_eq!([one.is_adopted(), other.is_adopted()].iter().filter(|adopted| **adopted).count(), 1);
    let pid = pid_of(&one);
    one.stop().await.expect("to leave");
    assert!(is_running(pid), "the other still uses it");
    other.stop().await.expect("to stop");
    assert!(!is_running(pid));
    remove(options).await;
}

#[tokio::test]
async fn a_long_folder_gets_its_socket_elsewhere() {
    let mut options = options("long");
    let top = options.folder.clone();
    options.folder = top.join("a".repeat(90));
    std::fs::create_dir_all(&top).expect("a folder");
    let server = LocalServer::start(options.clone()).await.expect("to start");
    let (folder, _) = server.target().socket().expect("a socket");
    assert!(!folder.starts_with(&top), "{}", folder.display());
    assert_eq!(ask(server.target(), "select 'here'").await, "here");
    let folder = folder.to_owned();
    server.stop().await.expect("to stop");
    remove(options).await;
    assert!(!folder.exists(), "nothing is left of it");
    std::fs::remove_dir_all(top).expect("to clean up");
}

#[tokio::test]
async fn the_loopback_address_asks_for_the_generated_password() {
    let mut options = options("loopback");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    options.loopback_port = Some(port);
    let server = LocalServer::start(options.clone()).await.expect("to start");
    let loopback = server.loopback().expect("asked for").clone();
    assert_eq!(ask(&loopback, "select current_setting('listen_addresses')").await, "127.0.0.1");
    let wrong = Target::parse(&format!("postgresql://postgres:wrong@127.0.0.1:{port}/posthaste"))
        .expect("an address");
    let error = Pool::connect(wrong, 1).await.expect_err("the wrong password");
    assert_eq!(posthaste_base::Error::from(error).code(), Code::DatabaseRefused);
    server.stop().await.expect("to stop");
    remove(options).await;
}

#[tokio::test]
async fn a_running_server_is_started_again_for_other_settings_unless_another_uses_it() {
    let mut options = options("changed");
    options.is_renewed = true;
    let before = LocalServer::start(options.clone()).await.expect("to start");
    let pid = pid_of(&before);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    options.loopback_port = Some(free.local_addr().expect("an address").port());
    drop(free);
    let beside = LocalServer::start(options.clone()).await.expect("to adopt");
    assert_eq!((pid_of(&beside), beside.loopback().is_none()), (pid, true), "the first one uses it");

    before.stop().await.expect("to leave");
    assert_eq!(ask(beside.target(), "select 'still here'").await, "still here");

    // As after a kill: the server is there, and nobody uses it.
    let mut state = beside.state();
    drop(beside);
    while state.changed().await.is_ok() {}
    let looking = LocalOptions { is_renewed: false, ..options.clone() };
    let looking = LocalServer::start(looking).await.expect("to adopt");
    assert_eq!((pid_of(&looking), looking.loopback().is_none()), (pid, true), "who only looks leaves it");
    let mut state = looking.state();
    drop(looking);
    while state.changed().await.is_ok() {}
    let after = LocalServer::start(options.clone()).await.expect("to start again");
    assert!(pid_of(&after) != pid && !after.is_adopted());
    let loopback = after.loopback().expect("asked for");
    assert_eq!(ask(loopback, "select current_setting('listen_addresses')").await, "127.0.0.1");
    let beside = LocalServer::start(options.clone()).await.expect("to share it");
    assert_eq!((pid_of(&beside), beside.loopback().is_some()), (pid_of(&after), true));
    beside.stop().await.expect("to leave");
    after.stop().await.expect("to stop");
    remove(options).await;
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_own_words() {
    let mut options = options("broken");
    options.settings.push(("shared_buffers".into(), "nonsense".into()));
    let Err(error) = LocalServer::start(options.clone()).await else { panic!("it cannot start") };
    let user = posthaste_base::Error::from(error);
    assert_eq!(user.code(), Code::PostgresFailed);
    assert!(user.message().contains("shared_buffers"), "{user}");
    assert!(user.next_step().contains("start.log"), "{}", user.next_step());
    remove(options).await;
}

#[tokio::test]
async fn a_folder_that_the_account_cannot_reach_is_refused_with_the_reason() {
    let account = Account::choose(None).expect("an account");
    if !account.is_other {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let closed = std::env::temp_dir().join(format!("posthaste-closed-{}", std::process::id()));
    std::fs::create_dir(&closed).expect("a folder");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).expect("to close it");
    let Err(error) = Cluster::open(LocalOptions::in_folder(closed.join("below"))) else {
        panic!("it is closed")
    };
    let user = posthaste_base::Error::from(error);
    assert!(user.message().contains("cannot be entered by the account"), "{user}");
    std::fs::remove_dir_all(closed).expect("to clean up");
}
