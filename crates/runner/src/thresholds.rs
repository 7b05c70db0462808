//! The thresholds of a phase that the server itself can show: a run that passes one is paused, with the reason.
//!
//! They are looked at between steps and between batches, and so are windows, which close while a run is under way. Not
//! for: slowing down (see `throttle`), and for what only people can see.

use std::time::{Duration, Instant};

use posthaste_report::{Gate, Signal, Watch};

use crate::event::Event;
use crate::halt::Halt;
use crate::sql;
use crate::work::Work;

/// What holds for the phase under way.
#[derive(Default)]
pub(crate) struct Thresholds {
    watched: Vec<Watched>,
    windows: Vec<Gate>,
    looked_at: Option<Instant>,
}

struct Watched {
    watch: Watch,
    signal: Signal,
    above_since: Option<Instant>,
}

impl Thresholds {
    pub(crate) fn new(watches: &[Watch], gates: impl Iterator<Item = Gate>) -> Self {
        let measured = |watch: &Watch| {
            watch.signal.map(|signal| Watched { watch: watch.clone(), signal, above_since: None })
        };
        Self {
            watched: watches.iter().filter_map(measured).collect(),
            windows: gates.filter(|gate| matches!(gate, Gate::Window { .. })).collect(),
            looked_at: None,
        }
    }
}

impl Watched {
    /// Why the run has to pause; nothing while it has not been above for long enough.
    fn judge(&mut self, value: f64, now: Instant) -> Option<String> {
        if value <= self.watch.threshold {
            self.above_since = None;
            return None;
        }
        let above = now.duration_since(*self.above_since.get_or_insert(now));
        if above < Duration::from_secs(self.watch.pause_after_s) {
            return None;
        }
        self.above_since = None;
        let Watch { metric, threshold, unit, pause_after_s, .. } = &self.watch;
        let time = if *pause_after_s == 0 { String::new() } else { format!(" for {pause_after_s} s") };
        Some(format!("{metric}: {value:.0} {unit}, more than {threshold}{time}"))
    }
}

impl Work<'_> {
    /// Pauses where a threshold is passed, until somebody lets the run go on, and stops where a window has closed.
    pub(crate) async fn look_around(&mut self, table_oid: Option<u32>) -> Result<(), Halt> {
        let every = self.options.look_every;
        let is_time = self.thresholds.looked_at.is_none_or(|at| at.elapsed() >= every);
        if self.is_going_back || !is_time {
            return Ok(());
        }
        self.thresholds.looked_at = Some(Instant::now());
        self.look_at_windows().await?;
        let mut passed = Vec::new();
        let mut watched = std::mem::take(&mut self.thresholds.watched);
        let mut read = Ok(());
        for one in &mut watched {
            match self.signal(one.signal, table_oid).await {
                Ok(value) => passed.extend(value.and_then(|value| one.judge(value, Instant::now()))),
                Err(halt) => read = Err(halt),
            }
        }
        self.thresholds.watched = watched;
        read?;
        if passed.is_empty() {
            return Ok(());
        }
        self.pause(&passed.join("; ")).await
    }

    /// A window that closes ends the run where it can go on in the next one.
    async fn look_at_windows(&mut self) -> Result<(), Halt> {
        if self.options.overrides.contains_key("window") || self.thresholds.windows.is_empty() {
            return Ok(());
        }
        let windows = self.thresholds.windows.clone();
        self.pass_gates(&windows).await
    }

    async fn pause(&mut self, why: &str) -> Result<(), Halt> {
        self.keeper.execute(sql::journal::SET_WISH, &[&self.run, &"pause"]).await?;
        self.note("paused", None, why, &[]).await?;
        self.emit(Event::ThresholdPassed { why: why.to_owned() });
        self.listen_now().await
    }

    /// In the unit of its threshold; none where it cannot be read, which is said once.
    async fn signal(&mut self, signal: Signal, table_oid: Option<u32>) -> Result<Option<f64>, Halt> {
        Ok(match signal {
            Signal::LockWaits => {
                let ours = self.own_pids();
                let row = self.keeper.query_one(sql::watch::WAITING, &[&ours]).await?;
                Some(row.try_get::<_, i64>(0)? as f64)
            }
            Signal::ReplicaLag => {
                let lags = self.replicas().await?.into_iter().filter_map(|replica| replica.lag_ms);
                lags.max().map(|ms| ms as f64 / 1000.0)
            }
            Signal::OldestTransaction => {
                let ours = self.own_pids();
                let row = self.keeper.query_one(sql::watch::OLDEST_TRANSACTION, &[&ours]).await?;
                row.try_get::<_, Option<i64>>("age_ms")?.map(|ms| ms as f64 / 1000.0)
            }
            Signal::DeadRows => match table_oid {
                None => None,
                Some(oid) => {
                    let row = self.keeper.query_one(sql::table::ACTIVITY, &[&oid]).await?;
                    let (live, dead): (i64, i64) = (row.try_get("live")?, row.try_get("dead")?);
                    Some(dead as f64 / (live + dead).max(1) as f64 * 100.0)
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_pauses_a_run() {
        let watch = Watch {
            metric: "sessions that wait".into(),
            threshold: 5.0,
            unit: "sessions".into(),
            watch_s: 600,
            when: "pause".into(),
            signal: Some(Signal::LockWaits),
            pause_after_s: 10,
        };
        let mut watched = Thresholds::new(&[watch], std::iter::empty()).watched.remove(0);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watched.judge(6.0, at(0)), None);
        assert_eq!(watched.judge(5.0, at(8)), None, "it went down in between");
        assert_eq!(watched.judge(6.0, at(9)), None);
        assert_eq!(watched.judge(7.0, at(18)), None);
        let why = watched.judge(7.0, at(19)).expect("ten seconds are over");
        assert_eq!(why, "sessions that wait: 7 sessions, more than 5 for 10 s");
    }
}
