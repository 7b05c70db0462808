//! An index build and a batched fix beside pgbench, killed at random points: no client waits behind them for longer
//! than 500 ms, and no invalid index and no half batch is left.
//!
//! What is measured are waits for locks, as the server sees them: a client of which `pg_blocking_pids` names one of
//! our sessions. The time that the observer itself was late is taken off, so that a busy machine is no stall.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use posthaste_pg::Connection;
use posthaste_testkit::db::{TestDb, default_version};

use crate::program::Program;

const ROWS_BROKEN: i64 = 5_000;
const WAIT_MAX: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(25);

const BROKEN: &str = "
update pgbench_accounts set bid = 1000 + aid where aid % 40 = 3;
alter table pgbench_accounts add constraint accounts_branch foreign key (bid) references pgbench_branches not valid;
vacuum analyze";

const INDEX: &str = r#"
version = 1
title = "NAME"
kind = "index"

[[phases]]
name = "indexes"

[[phases.steps]]
id = "build"
title = "An index"
action = "alone"
statement = "create index concurrently NAME on public.pgbench_accounts (abalance, filler)"
index = "public.NAME"
undo = ["drop index concurrently if exists public.NAME"]
"#;

/// Who waits for one of ours, and for how long: pairs of process ids, one row each.
const WAITS: &str = "
select l.pid, extract(epoch from clock_timestamp() - min(l.waitstart))::float8 as waited_s
from pg_locks as l join pg_stat_activity as a on a.pid = l.pid
where not l.granted and a.datname = current_database() and a.application_name = 'pgbench'
  and exists (
    select from unnest(pg_blocking_pids(l.pid)) as b (pid) join pg_stat_activity as o on o.pid = b.pid
    where o.application_name like 'posthaste%'
  )
group by l.pid";

/// Looks at waits until it is told to stop, and answers the longest.
struct Observer {
    ends: Arc<AtomicBool>,
    looks: tokio::task::JoinHandle<Duration>,
}

impl Observer {
    fn start(session: Connection) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = ends.clone();
        let looks = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            // For each who waits: how late the observer was in all since it was first seen.
            let mut late: BTreeMap<i32, Duration> = BTreeMap::new();
            while !told.load(Ordering::Relaxed) {
                let looked = Instant::now();
                tokio::time::sleep(LOOK_EVERY).await;
                let rows = session.query(WAITS, &[]).await.expect("the waits");
                let was_late = looked.elapsed().saturating_sub(LOOK_EVERY);
                let mut still = BTreeMap::new();
                for row in rows {
                    let (pid, waited_s): (i32, f64) = (row.get(0), row.get(1));
                    let own_late = late.get(&pid).copied().unwrap_or_default() + was_late;
                    let waited = Duration::from_secs_f64(waited_s.max(0.0)).saturating_sub(own_late);
                    longest = longest.max(waited);
                    still.insert(pid, own_late);
                }
                late = still;
            }
            longest
        });
        Self { ends, looks }
    }

    async fn longest(self) -> Duration {
        self.ends.store(true, Ordering::Relaxed);
        self.looks.await.expect("the observer")
    }
}

struct Bench(Child);

impl Bench {
    fn start(url: &str) -> Self {
        let mut command = pgbench();
        command.args(["-n", "-c", "4", "-j", "1", "-T", "600", url]).env("PGAPPNAME", "pgbench");
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgbench"))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pgbench() -> Command {
    Command::new(default_version().bin.join("pgbench"))
}

/// xorshift: the same seed gives the same pauses.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

async fn bank() -> TestDb {
    let db = TestDb::empty().await;
    let made =
        pgbench().args(["-iq", "-s", "2", &db.url]).stderr(Stdio::null()).stdout(Stdio::null()).status();
    assert!(made.expect("pgbench").success());
    let session = db.pool.get().await.expect("a connection");
    for statement in BROKEN.split(';') {
        session.batch_execute(statement).await.expect("a broken bank");
    }
    drop(session);
    db
}

async fn count(db: &TestDb, sql: &str) -> i64 {
    let session = db.pool.get().await.expect("a connection");
    session.query_one(sql, &[]).await.expect(sql).get(0)
}

/// Starts the plan again and again, and kills it after a random time; answers how often it was alive then.
fn kill_often(program: &Program, arguments: &[&str], times: u32, chance: &mut Chance) -> u32 {
    let mut killed = 0;
    for _ in 0..times {
        let mut child = program.spawn(arguments);
        std::thread::sleep(Duration::from_millis(150 + chance.below(900)));
        let is_alive = child.try_wait().expect("its state").is_none();
        child.kill().expect("kill -9");
        child.wait().expect("its end");
        killed += u32::from(is_alive);
        if !is_alive {
            break;
        }
    }
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_long_and_nothing_half_is_left_whenever_it_is_killed() {
    let seed = std::env::var("POSTHASTE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_307);
    println!("POSTHASTE_SEED={seed}");
    let mut chance = Chance(seed);
    let db = bank().await;
    let program = Program::with(&db)
        .file("index.toml", &INDEX.replace("NAME", "accounts_balance"))
        .file("given_up.toml", &INDEX.replace("NAME", "accounts_given_up"));
    let planned = program.run(&[
        "fix",
        "plan",
        "--policy",
        "orphans=re-parent:1",
        "--name",
        "mend",
        "--out",
        "mend.toml",
    ]);
    assert_eq!(planned.code, Some(0), "{planned:#?}");

    let clients = Bench::start(&db.url);
    let observer = Observer::start(db.pool.get().await.expect("a connection"));
    let mut killed = 0;
    for plan in ["mend.toml", "index.toml"] {
        killed += kill_often(&program, &["run", plan, "--yes"], 4, &mut chance);
        let ended = program.run(&["run", plan, "--yes"]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
    killed += kill_often(&program, &["run", "given_up.toml", "--yes"], 1, &mut chance);
    let runs = program.json(&["runs", "list"], "runs");
    let last = runs.as_array().and_then(|runs| runs.iter().find(|run| run["title"] == "accounts_given_up"));
    if let Some(run) = last.filter(|run| run["state"] != "done") {
        let ended = program.run(&["runs", "abort", &run["id"].to_string(), "--yes"]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(count(&db, "select count(*) from pg_class where relname = 'accounts_given_up'").await, 0);
    }
    let longest = observer.longest().await;
    drop(clients);
    println!("killed {killed} times; the longest wait of a client behind us was {} ms", longest.as_millis());

    assert!(killed >= 3, "only {killed} kills met somebody alive");
    assert!(longest < WAIT_MAX, "a client waited for {longest:?} behind us");
    assert_eq!(count(&db, "select count(*) from pg_index where not indisvalid").await, 0);
    let is_there = "select count(*) from pg_class where relname = 'accounts_balance'";
    assert_eq!(count(&db, is_there).await, 1);
    // As many are kept as were broken, each once, and each is mended: no batch was done half or twice.
    assert_eq!(count(&db, "select count(*) from posthaste_undo.kept_row").await, ROWS_BROKEN);
    assert_eq!(count(&db, "select count(distinct key) from posthaste_undo.kept_row").await, ROWS_BROKEN);
    let mended = "select count(*) from pgbench_accounts as a
        join posthaste_undo.kept_row as k on k.key = row(a.aid)::text
        where a.bid = 1 and k.before like '(' || a.aid || ',' || 1000 + a.aid || ',%'";
    assert_eq!(count(&db, mended).await, ROWS_BROKEN);
    assert_eq!(count(&db, "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_would_be_seen() {
    let db = TestDb::empty().await;
    let made =
        pgbench().args(["-iq", "-s", "1", &db.url]).stderr(Stdio::null()).stdout(Stdio::null()).status();
    assert!(made.expect("pgbench").success());
    let _clients = Bench::start(&db.url);
    let observer = Observer::start(db.pool.get().await.expect("a connection"));
    let holder = db.pool.get().await.expect("a connection");
    let lock = "set application_name = 'posthaste run'; begin; lock table pgbench_accounts in share mode";
    holder.batch_execute(lock).await.expect("a lock");
    // Until somebody has waited for long: what is tested is that the observer sees it.
    let seen = "select count(*) from pg_locks where not granted and waitstart < clock_timestamp() - interval '1500 ms'";
    while count(&db, seen).await == 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    holder.batch_execute("rollback").await.expect("the end");
    assert!(observer.longest().await >= WAIT_MAX);
}
