//! Pauses that follow what the server shows: replicas, the archive, WAL, dead rows, old snapshots.
//!
//! What a role may not see is said once and not looked at again. Not for: the size of batches (see `pace`).

use std::time::Duration;

use jiff::Timestamp;
use posthaste_report::Step;

use crate::event::Event;
use crate::halt::Halt;
use crate::options::ThrottleLimits;
use crate::sql;
use crate::work::Work;

/// What the server shows; none for what could not be read or does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Signals {
    pub replicas: Vec<Replica>,
    pub is_archive_failing: bool,
    pub archive_segments: Option<u64>,
    pub wal_bytes_per_s: Option<u64>,
    pub live: i64,
    pub dead: i64,
    pub snapshot_ms: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Replica {
    pub name: String,
    pub lag_ms: Option<i64>,
    pub lag_bytes: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Nothing more until these have passed.
    pub waits: Vec<String>,
    /// Half of the time is left to others.
    pub slows: Vec<String>,
}

/// Small tables have large shares.
const DEAD_ROWS_MIN: i64 = 10_000;
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_millis(500);

pub(crate) fn verdict(signals: &Signals, limits: &ThrottleLimits) -> Verdict {
    let mut verdict = Verdict::default();
    for replica in &signals.replicas {
        let late = limits.replica_lag.zip(replica.lag_ms);
        if let Some((limit, lag_ms)) = late.filter(|(limit, lag_ms)| i128::from(*lag_ms) > ms(*limit)) {
            let text = format!("replica {} is {lag_ms} ms behind, more than {}", replica.name, ms(limit));
            verdict.waits.push(text);
        }
        let far = limits.replica_lag_bytes.zip(replica.lag_bytes);
        if let Some((limit, bytes)) = far.filter(|(limit, bytes)| i128::from(*bytes) > i128::from(*limit)) {
            verdict
                .waits
                .push(format!("replica {} is {bytes} bytes behind, more than {limit}", replica.name));
        }
    }
    if let Some(limit) = limits.archive_segments {
        if signals.is_archive_failing {
            verdict.waits.push("archiving of WAL fails".to_owned());
        }
        if let Some(count) = signals.archive_segments.filter(|count| *count > limit) {
            verdict.waits.push(format!("{count} WAL segments wait for the archive, more than {limit}"));
        }
    }
    let rate = limits.wal_bytes_per_s.zip(signals.wal_bytes_per_s);
    if let Some((limit, rate)) = rate.filter(|(limit, rate)| rate > limit) {
        verdict.slows.push(format!("the server writes {rate} bytes of WAL a second, more than {limit}"));
    }
    if let Some(limit) = limits.dead_share {
        let share = signals.dead as f64 / (signals.live + signals.dead).max(1) as f64;
        if signals.dead > DEAD_ROWS_MIN && share > limit {
            let (share, limit) = (share * 100.0, limit * 100.0);
            verdict.slows.push(format!("{share:.0} % of the table's rows are dead, more than {limit:.0} %"));
        }
    }
    let old = limits.oldest_snapshot.zip(signals.snapshot_ms);
    if let Some((_, age_ms)) = old.filter(|(limit, age_ms)| i128::from(*age_ms) > ms(*limit)) {
        verdict.slows.push(format!("a snapshot of {} s ago keeps dead rows alive", age_ms / 1000));
    }
    verdict
}

fn ms(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)
}

impl Work<'_> {
    /// Waits while the server shows that it is behind, and slows down while it is burdened.
    pub(crate) async fn throttle(&mut self, step: &Step, table_oid: u32) -> Result<(), Halt> {
        if !self.is_time_to_throttle() {
            return Ok(());
        }
        let mut pause = WAIT_FIRST;
        let mut wal = None;
        loop {
            let signals = self.signals(table_oid, &mut wal).await?;
            let verdict = verdict(&signals, &self.options.throttle);
            if verdict.waits.is_empty() {
                if !verdict.slows.is_empty() {
                    self.say_throttled(step, verdict.slows, SLOW);
                    self.sleep(SLOW).await?;
                }
                return Ok(());
            }
            self.say_throttled(step, verdict.waits, pause);
            self.sleep(pause).await?;
            self.listen().await?;
            pause = (pause * 2).min(WAIT_MAX);
        }
    }

    fn say_throttled(&mut self, step: &Step, reasons: Vec<String>, pause: Duration) {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.emit(Event::Throttled { step: step.id.clone(), reasons, pause_ms });
    }

    async fn signals(&mut self, table_oid: u32, wal: &mut Option<(i64, Timestamp)>) -> Result<Signals, Halt> {
        let limits = self.options.throttle;
        let mut signals = Signals::default();
        if limits.replica_lag.is_some() || limits.replica_lag_bytes.is_some() {
            signals.replicas = self.replicas().await?;
        }
        if limits.archive_segments.is_some() {
            self.read_archive(&mut signals).await?;
        }
        if limits.wal_bytes_per_s.is_some() {
            signals.wal_bytes_per_s = self.wal_rate(wal).await?;
        }
        if limits.dead_share.is_some() || limits.oldest_snapshot.is_some() {
            let row = self.keeper.query_one(sql::table::ACTIVITY, &[&table_oid]).await?;
            (signals.live, signals.dead) = (row.try_get("live")?, row.try_get("dead")?);
            signals.snapshot_ms = row.try_get("snapshot_ms")?;
        }
        Ok(signals)
    }

    pub(crate) async fn replicas(&mut self) -> Result<Vec<Replica>, Halt> {
        let mut replicas = Vec::new();
        for row in self.keeper.query(sql::watch::REPLICAS, &[]).await? {
            if !row.try_get::<_, bool>("is_visible")? {
                self.say_unread("replicas", "the role is not a member of pg_monitor");
                continue;
            }
            replicas.push(Replica {
                name: row.try_get("name")?,
                lag_ms: row.try_get("lag_ms")?,
                lag_bytes: row.try_get("lag_bytes")?,
            });
        }
        Ok(replicas)
    }

    async fn read_archive(&mut self, signals: &mut Signals) -> Result<(), Halt> {
        let row = self.keeper.query_one(sql::watch::ARCHIVER, &[]).await?;
        if !row.try_get::<_, bool>("is_on")? {
            return Ok(());
        }
        signals.is_archive_failing = row.try_get("is_failing")?;
        const BACKLOG: &str = "segments that wait for the archive";
        if self.unread.contains(BACKLOG) {
            return Ok(());
        }
        match self.keeper.query_one(sql::watch::ARCHIVE_BACKLOG, &[]).await {
            Ok(row) => signals.archive_segments = Some(row.try_get::<_, i64>(0)?.unsigned_abs()),
            Err(error) if error.is_connection() => return Err(error.into()),
            Err(error) => self.say_unread(BACKLOG, &error.to_string()),
        }
        Ok(())
    }

    /// Over half a second, since what was read before may be long ago.
    async fn wal_rate(&mut self, last: &mut Option<(i64, Timestamp)>) -> Result<Option<u64>, Halt> {
        let read = async |keeper: &posthaste_pg::Visit| -> Result<(i64, Timestamp), Halt> {
            let row = keeper.query_one(sql::watch::WAL_POSITION, &[]).await?;
            Ok((row.try_get("wal_bytes")?, row.try_get("now")?))
        };
        let before = match *last {
            Some(before) => before,
            None => {
                let before = read(&self.keeper).await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
                before
            }
        };
        let now = read(&self.keeper).await?;
        *last = Some(now);
        let seconds = (now.1.duration_since(before.1)).as_secs_f64().max(0.001);
        Ok(Some(((now.0 - before.0).max(0) as f64 / seconds) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ThrottleLimits {
        ThrottleLimits { wal_bytes_per_s: Some(1_000), ..ThrottleLimits::default() }
    }

    fn replica(lag_ms: Option<i64>, lag_bytes: Option<i64>) -> Signals {
        Signals { replicas: vec![Replica { name: "r".into(), lag_ms, lag_bytes }], ..Signals::default() }
    }

    #[test]
    fn nothing_waits_for_a_server_that_keeps_up() {
        let signals = Signals { live: 100, dead: 90, snapshot_ms: Some(10), ..replica(Some(10), Some(10)) };
        assert_eq!(verdict(&signals, &limits()), Verdict::default());
        assert_eq!(verdict(&replica(None, None), &limits()), Verdict::default());
    }

    #[test]
    fn what_is_behind_is_waited_for() {
        for (signals, expected) in [
            (replica(Some(10_001), None), "replica r is 10001 ms behind, more than 10000"),
            (replica(None, Some(1 << 40)), "replica r is 1099511627776 bytes behind, more than 268435456"),
            (Signals { is_archive_failing: true, ..Signals::default() }, "archiving of WAL fails"),
            (
                Signals { archive_segments: Some(43), ..Signals::default() },
                "43 WAL segments wait for the archive, more than 42",
            ),
        ] {
            let found = verdict(&signals, &limits());
            assert_eq!((found.waits, found.slows.len()), (vec![expected.to_owned()], 0));
        }
    }

    #[test]
    fn what_is_burdened_is_spared() {
        for (signals, expected) in [
            (
                Signals { wal_bytes_per_s: Some(1_001), ..Signals::default() },
                "the server writes 1001 bytes of WAL a second, more than 1000",
            ),
            (
                Signals { live: 10_000, dead: 30_000, ..Signals::default() },
                "75 % of the table's rows are dead, more than 50 %",
            ),
            (
                Signals { snapshot_ms: Some(7_200_000), ..Signals::default() },
                "a snapshot of 7200 s ago keeps dead rows alive",
            ),
        ] {
            let found = verdict(&signals, &limits());
            assert_eq!((found.waits.len(), found.slows), (0, vec![expected.to_owned()]));
        }
    }

    #[test]
    fn a_signal_without_a_limit_does_not_matter() {
        let limits = ThrottleLimits {
            replica_lag: None,
            replica_lag_bytes: None,
            archive_segments: None,
            wal_bytes_per_s: None,
            dead_share: None,
            oldest_snapshot: None,
        };
        let signals = Signals {
            is_archive_failing: true,
            archive_segments: Some(1_000),
            wal_bytes_per_s: Some(u64::MAX),
            dead: 1_000_000,
            snapshot_ms: Some(i64::MAX),
            ..replica(Some(i64::MAX), Some(i64::MAX))
        };
        assert_eq!(verdict(&signals, &limits), Verdict::default());
    }
}
