//! What a statement does on a real server: every lock, what is scanned and what is written anew.
//!
//! Not for: what it should do, which is the model's to say.
//!
//! A statement that may run in a transaction is observed when it has ended and its transaction is still open: a
//! second session reads `pg_locks` of the first, which has kept every lock. The counters of the transaction
//! itself tell what was scanned: a table counts as scanned when a sequential scan of it began and as many blocks
//! were fetched as it has. What has another `relfilenode` than before was written anew.
//!
//! A statement that may not is observed by `concurrent`.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_report::LockMode;
use posthaste_testkit::db::TestDb;
use posthaste_testkit::pg::driver::{Error, Row};
use posthaste_testkit::pg::{Connection, PoolOptions};

/// Something that was there before the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    /// With its schema, unless that is the form's own.
    pub(crate) name: String,
    pub(crate) kind: char,
    pub(crate) file: u32,
    pub(crate) blocks: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counters {
    pub(crate) scans: i64,
    pub(crate) blocks: i64,
}

/// What was seen; names are as in [`Thing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) locks: BTreeMap<String, LockMode>,
    pub(crate) scanned: BTreeSet<String>,
    pub(crate) rewritten: BTreeSet<String>,
    pub(crate) may_be_in_transaction: bool,
}

/// How a statement ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done(Observed),
    Failed { message: String },
}

pub(crate) type Things = BTreeMap<u32, Thing>;

/// Two sessions with one database: one runs statements, and the other sets up and looks on.
///
/// The runner is a new session for each form, as a migration's is: one that has used a table before has things in
/// its cache for which another would lock a parent.
pub(crate) struct Bench {
    pub(crate) runner: Connection,
    pub(crate) watcher: Connection,
    pub(crate) runner_pid: i32,
}

const SETTINGS: &str = "set search_path to app; set client_min_messages to error; set lock_timeout to '20s'; \
                        set statement_timeout to '30s'";

async fn new_runner(db: &TestDb, zone: &str) -> (Connection, i32) {
    // A pool of its own, because a pool lends sessions that were used.
    let pool = db.pool_with(PoolOptions::of_size(1));
    let runner = pool.get().await.expect("a session");
    runner.batch_execute(&format!("{SETTINGS}; set timezone to '{zone}'")).await.expect("the settings");
    let row = runner.query_one("select pg_backend_pid()", &[]).await.expect("the session's pid");
    let pid = row.get(0);
    (runner, pid)
}

/// The schema in which each form is set up anew.
pub(crate) const SCHEMA: &str = "app";

impl Bench {
    pub(crate) async fn new(db: &TestDb) -> Self {
        let watcher = db.pool.get().await.expect("a session");
        watcher.batch_execute(SETTINGS).await.expect("the settings of the session");
        let (runner, runner_pid) = new_runner(db, "UTC").await;
        Self { runner, watcher, runner_pid }
    }

    /// Another session to run the next form.
    pub(crate) async fn renew_runner(&mut self, db: &TestDb, zone: &str) {
        (self.runner, self.runner_pid) = new_runner(db, zone).await;
    }

    /// Makes the schema anew and runs the set-up in it.
    pub(crate) async fn set_up(&self, name: &str, statements: &str) {
        let anew = format!(
            "drop schema if exists {SCHEMA} cascade; drop schema if exists other cascade; \
             create schema {SCHEMA}; create schema other"
        );
        self.batch(name, &anew).await;
        self.batch(name, statements).await;
    }

    pub(crate) async fn batch(&self, name: &str, statements: &str) {
        if let Err(error) = self.watcher.batch_execute(statements).await {
            panic!("the set-up of `{name}`: {}", describe(&error));
        }
    }

    /// Every table, index, view and sequence outside of the system's schemas.
    pub(crate) async fn things(&self) -> Things {
        // A partitioned table has no file, and a view none either.
        let query = "select c.oid, case when n.nspname = 'app' then '' else n.nspname || '.' end || c.relname, \
                     c.relkind::text, c.relfilenode, \
                     case when c.relkind in ('r', 'm', 'i') then pg_relation_size(c.oid) / 8192 else 0 end \
                     from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'";
        let rows = self.watcher.query(query, &[]).await.expect("the things that are there");
        rows.iter()
            .map(|row| {
                let kind: String = row.get(2);
                let kind = kind.chars().next().expect("a letter");
                (row.get(0), Thing { name: row.get(1), kind, file: row.get(3), blocks: row.get(4) })
            })
            .collect()
    }

    /// Runs a statement in a transaction, looks, and takes it back.
    pub(crate) async fn in_transaction(&self, statement: &str) -> Outcome {
        let before = self.things().await;
        self.runner.batch_execute("begin").await.expect("a transaction");
        let counted = self.counters(&before).await;
        let outcome = match self.run(statement).await {
            Err(message) => Outcome::Failed { message },
            Ok(()) => {
                let locks = self.locks(&before).await;
                let (scanned, rewritten) = self.work(&before, &counted).await;
                Outcome::Done(Observed { locks, scanned, rewritten, may_be_in_transaction: true })
            }
        };
        self.runner.batch_execute("rollback").await.expect("to take it back");
        outcome
    }

    /// Runs one statement; COPY has no rows to give or to take.
    pub(crate) async fn run(&self, statement: &str) -> Result<(), String> {
        self.runner.batch_execute(statement).await.map_err(|error| describe(&error))
    }

    /// The strongest mode for each thing that was there before, when the statement has ended.
    async fn locks(&self, before: &Things) -> BTreeMap<String, LockMode> {
        strongest(before, self.lock_rows().await.into_iter().filter(|row| row.is_granted))
    }

    /// The same while it runs, with the locks that it waits for. An index that is dead a moment later is left out:
    /// nobody opens it any more, so that its last locks are in nobody's way.
    pub(crate) async fn sample(&self, before: &Things) -> BTreeMap<String, LockMode> {
        let rows = self.lock_rows().await;
        let is_live = "select i.indexrelid from pg_index i where i.indislive";
        let live = self.watcher.query(is_live, &[]).await.expect("the indexes");
        let live: BTreeSet<u32> = live.iter().map(|row| row.get(0)).collect();
        let is_index = |oid: &u32| before.get(oid).is_some_and(|thing| matches!(thing.kind, 'i' | 'I'));
        strongest(
            before,
            rows.into_iter().filter(|row| !is_index(&row.relation) || live.contains(&row.relation)),
        )
    }

    async fn lock_rows(&self) -> Vec<LockRow> {
        let query = "select relation, mode, granted from pg_locks where pid = $1 and locktype = 'relation'";
        let rows = self.watcher.query(query, &[&self.runner_pid]).await.expect("the locks");
        let mode = |row: &Row| LockMode::of_pg_locks(row.get(1)).expect("a mode");
        rows.iter()
            .map(|row| LockRow { relation: row.get(0), mode: mode(row), is_granted: row.get(2) })
            .collect()
    }

    async fn counters(&self, before: &Things) -> BTreeMap<u32, Counters> {
        let query = "select t.oid, pg_stat_get_xact_numscans(t.oid), pg_stat_get_xact_blocks_fetched(t.oid) \
                     from unnest($1::oid[]) as t (oid)";
        self.read_counters(query, before).await
    }

    async fn read_counters(&self, query: &str, before: &Things) -> BTreeMap<u32, Counters> {
        let oids: Vec<u32> = before.keys().copied().collect();
        let rows = self.runner.query(query, &[&oids]).await.expect("the counters");
        let counters = |row: &Row| Counters { scans: row.get(1), blocks: row.get(2) };
        rows.iter().map(|row| (row.get(0), counters(row))).collect()
    }

    async fn work(
        &self,
        before: &Things,
        counted: &BTreeMap<u32, Counters>,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let counted_after = self.counters(before).await;
        (scanned(before, counted, &counted_after), self.rewritten(before).await)
    }

    /// What has another file than before. An index that was dropped and made again under its name, as ALTER TYPE
    /// does, is the same index to users.
    async fn rewritten(&self, before: &Things) -> BTreeSet<String> {
        let query = "select c.oid, case when n.nspname = 'app' then '' else n.nspname || '.' end || c.relname, \
                     c.relfilenode from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where c.relkind in ('r', 'm', 'i')";
        let rows = self.runner.query(query, &[]).await.expect("the files");
        let by_oid: BTreeMap<u32, u32> = rows.iter().map(|row| (row.get(0), row.get(2))).collect();
        let by_name: BTreeMap<String, u32> = rows.iter().map(|row| (row.get(1), row.get(2))).collect();
        let has_other = |oid: &u32, thing: &Thing| {
            let file = by_oid.get(oid).or_else(|| by_name.get(&thing.name));
            file.is_some_and(|file| *file != thing.file)
        };
        let of_rows = before.iter().filter(|(_, thing)| matches!(thing.kind, 'r' | 'm' | 'i'));
        of_rows.filter(|(oid, thing)| has_other(oid, thing)).map(|(_, thing)| thing.name.clone()).collect()
    }

    /// The counters of all sessions with those that this one has not handed on yet, for what runs outside of a
    /// transaction.
    pub(crate) async fn all_counters(&self, before: &Things) -> BTreeMap<u32, Counters> {
        let query = "select t.oid, \
                     pg_stat_get_numscans(t.oid) + pg_stat_get_xact_numscans(t.oid), \
                     pg_stat_get_blocks_fetched(t.oid) + pg_stat_get_xact_blocks_fetched(t.oid) \
                     from unnest($1::oid[]) as t (oid), pg_stat_clear_snapshot()";
        self.read_counters(query, before).await
    }

    /// The session that set up hands its counters on, so that they do not come in the middle. 15 and newer.
    pub(crate) async fn flush_counters(&self) {
        self.watcher.batch_execute("select pg_stat_force_next_flush()").await.expect("the counters");
    }

    /// Before version 15 counters reach other sessions late, so that scans cannot be told there.
    pub(crate) async fn work_outside(
        &self,
        before: &Things,
        counted: &BTreeMap<u32, Counters>,
        has_counters: bool,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let scanned = match has_counters {
            true => scanned(before, counted, &self.all_counters(before).await),
            false => BTreeSet::new(),
        };
        (scanned, self.rewritten(before).await)
    }

    /// Whether the runner waits for a lock of another session, be it on a relation or on a transaction.
    pub(crate) async fn is_waiting(&self) -> bool {
        let query = "select from pg_locks where pid = $1 and not granted";
        let rows = self.watcher.query(query, &[&self.runner_pid]).await.expect("the locks");
        !rows.is_empty()
    }
}

struct LockRow {
    relation: u32,
    mode: LockMode,
    is_granted: bool,
}

fn strongest(before: &Things, rows: impl Iterator<Item = LockRow>) -> BTreeMap<String, LockMode> {
    let mut locks = BTreeMap::new();
    for row in rows {
        let Some(thing) = before.get(&row.relation) else { continue };
        let strongest = locks.entry(thing.name.clone()).or_insert(row.mode);
        *strongest = row.mode.max(*strongest);
    }
    locks
}

/// Tables of which a sequential scan began, and all blocks were fetched.
fn scanned(
    before: &Things,
    counted: &BTreeMap<u32, Counters>,
    after: &BTreeMap<u32, Counters>,
) -> BTreeSet<String> {
    let is_scanned = |oid: &u32, thing: &Thing| {
        let (was, is) = (counted[oid], after[oid]);
        is.scans > was.scans && is.blocks - was.blocks >= thing.blocks
    };
    let tables = before.iter().filter(|(_, thing)| matches!(thing.kind, 'r' | 'm'));
    tables.filter(|(oid, thing)| is_scanned(oid, thing)).map(|(_, thing)| thing.name.clone()).collect()
}

/// The server's message with its code.
pub(crate) fn describe(error: &Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => error.to_string(),
    }
}
