//! What a statement does that cannot run in a transaction block, such as CREATE INDEX CONCURRENTLY.
//!
//! Its locks cannot be read when it has ended: it has given them back. So it runs several times, each time after the
//! same set-up, and each time another session is in its way in another manner: with ACCESS EXCLUSIVE on one table
//! (then the statement waits, and shows what it wants there first), with SHARE UPDATE EXCLUSIVE (which lets a first
//! look pass, and stops what comes then), with ROW EXCLUSIVE (for whose end concurrent index builds wait), with
//! ACCESS SHARE on a table and its indexes (which only ACCESS EXCLUSIVE waits for), with SHARE UPDATE EXCLUSIVE on one
//! index alone (which COMMENT takes), and with an old snapshot. While it waits and while it runs, its locks are
//! sampled, those that it waits for too; what is compared is the union of all samples.
//! VACUUM is made slow, so that the samples meet it, and an event trigger keeps the last transaction of a DDL
//! statement open for a moment.
//!
//! Not for: statements that may run in a transaction (`observe`).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use posthaste_testkit::db::TestDb;
use posthaste_testkit::pg::Connection;

use crate::observe::{Bench, Observed, Outcome, Things};

/// In whose way another session is, and how.
enum Hold {
    Nothing,
    /// This statement, in a transaction that stays open.
    Open(String),
}

/// Runs the statement again and again, after the set-up that `set_up` makes.
pub(crate) async fn outside_transaction(
    bench: &Bench,
    db: &TestDb,
    statement: &str,
    has_counters: bool,
    set_up: impl AsyncFn(),
) -> Outcome {
    let holder = db.pool.get().await.expect("a session");
    holder.batch_execute("set search_path to app").await.expect("the settings of the session");
    set_up().await;
    let mut observed: Option<Observed> = None;
    for hold in holds(&bench.things().await) {
        set_up().await;
        let before = bench.things().await;
        let slow = "set vacuum_cost_delay = 1; set vacuum_cost_limit = 1";
        bench.runner.batch_execute(slow).await.expect("the settings of the session");
        let linger = "create function other.linger() returns event_trigger language plpgsql as \
                      'begin perform pg_sleep(0.02); end'; \
                      create event trigger linger on ddl_command_end execute function other.linger()";
        bench.batch("the event trigger", linger).await;
        if has_counters {
            bench.flush_counters().await;
        }
        let counted = bench.all_counters(&before).await;
        let seen = match run_beside(bench, &holder, &before, &hold, statement).await {
            Ok(locks) => locks,
            Err(message) => return Outcome::Failed { message },
        };
        let merged = observed.get_or_insert_with(Observed::default);
        for (name, mode) in seen {
            let strongest = merged.locks.entry(name).or_insert(mode);
            *strongest = mode.max(*strongest);
        }
        let (scanned, rewritten) = bench.work_outside(&before, &counted, has_counters).await;
        merged.scanned.extend(scanned);
        merged.rewritten.extend(rewritten);
    }
    Outcome::Done(observed.expect("at least one run"))
}

fn holds(things: &Things) -> Vec<Hold> {
    let mut holds = vec![
        Hold::Nothing,
        Hold::Open("begin isolation level repeatable read; select count(*) from pg_class".to_owned()),
    ];
    for thing in things.values() {
        let name = &thing.name;
        if matches!(thing.kind, 'r' | 'p') {
            for mode in ["access exclusive", "share update exclusive", "row exclusive"] {
                holds.push(Hold::Open(format!("begin; lock table only {name} in {mode} mode")));
            }
        }
        if matches!(thing.kind, 'i' | 'I') {
            holds.push(Hold::Open(format!("begin; comment on index {name} is 'held'")));
        }
        if matches!(thing.kind, 'r' | 'p' | 'm') {
            holds.push(Hold::Open(format!("begin; select from only {name} limit 0")));
        }
    }
    holds
}

type Seen = std::collections::BTreeMap<String, posthaste_report::LockMode>;

/// Runs the statement while the other session holds, samples its locks, and lets go when it waits.
async fn run_beside(
    bench: &Bench,
    holder: &Connection,
    before: &Things,
    hold: &Hold,
    statement: &str,
) -> Result<Seen, String> {
    if let Hold::Open(text) = hold {
        holder.batch_execute(text).await.expect("to hold");
    }
    let result = sampled(bench, holder, before, pin!(bench.run(statement))).await;
    holder.batch_execute("rollback").await.expect("to let go");
    result
}

async fn sampled(
    bench: &Bench,
    holder: &Connection,
    before: &Things,
    mut running: impl Future<Output = Result<(), String>> + Unpin,
) -> Result<Seen, String> {
    let mut seen = Seen::new();
    let mut is_held = true;
    loop {
        let sample = bench.sample(before);
        let ended = tokio::select! {
            ended = &mut running => Some(ended),
            locks = sample => {
                merge(&mut seen, locks);
                None
            }
        };
        if let Some(ended) = ended {
            return ended.map(|()| seen);
        }
        if is_held && bench.is_waiting().await {
            // Once more, now that it surely waits.
            merge(&mut seen, bench.sample(before).await);
            holder.batch_execute("rollback").await.expect("to let go");
            is_held = false;
        }
        // Gives the statement a chance to go on; nothing is decided by the time.
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

fn merge(seen: &mut Seen, locks: Seen) {
    for (name, mode) in locks {
        let strongest = seen.entry(name).or_insert(mode);
        *strongest = mode.max(*strongest);
    }
}
