//! Numbers of a run: percentiles, the CPU time and memory of processes as `/proc` has them, and how they are printed.
//!
//! Not for: what is measured.

use std::collections::BTreeMap;
use std::fs;

use posthaste_base::Error;
use posthaste_pg::Pool;
use serde::Serialize;
use serde_json::Value;

use crate::output;

/// Times in milliseconds, at the places of their order that matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub count: usize,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Percentiles {
    /// By the nearest rank: the least time that so many percent did not exceed.
    pub(super) fn of(mut times_ms: Vec<f64>) -> Self {
        times_ms.sort_unstable_by(f64::total_cmp);
        let count = times_ms.len();
        let at = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1);
            times_ms.get(rank - 1).map_or(0.0, |time| round(*time, 2))
        };
        Self { count, p50_ms: at(50), p95_ms: at(95), p99_ms: at(99), max_ms: at(100) }
    }
}

/// One process, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: u32,
}

impl Process {
    /// CPU time of all its threads, and of children that it has waited for, until now; 0 when it is gone.
    pub(super) fn cpu_seconds(self) -> f64 {
        Stat::read(self.pid).map_or(0.0, |stat| seconds(stat.own_ticks + stat.reaped_ticks))
    }

    /// The memory that it holds now, shared pages and all.
    pub(super) fn memory_mb(self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        memory_mb(&status)
    }
}

/// A PostgreSQL server on this machine: its first process and the children of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub postmaster: Process,
}

impl Server {
    /// The server behind a pool; none when it does not run here.
    pub(super) async fn find(pool: &Pool) -> Result<Option<Self>, Error> {
        let session = pool.get().await?;
        let row = session.query_one(include_str!("../../../sql/bench/backend.sql"), &[]).await;
        let backend: i32 = row.map_err(posthaste_pg::Error::from)?.get(0);
        let stat = Stat::read(backend.unsigned_abs()).filter(|stat| stat.program == "postgres");
        let parent = stat.map(|stat| stat.parent);
        let is_server = |pid: &u32| Stat::read(*pid).is_some_and(|stat| stat.program == "postgres");
        Ok(parent.filter(is_server).map(|pid| Self { postmaster: Process { pid } }))
    }

    /// CPU time of the server: its first process, the children that it has waited for, and those that live.
    pub(super) fn cpu_seconds(self) -> f64 {
        let children = self.children().into_iter().filter_map(|child| Stat::read(child.pid));
        self.postmaster.cpu_seconds() + seconds(children.map(|stat| stat.own_ticks).sum())
    }

    /// Its other processes, in the order of their ids.
    pub(super) fn children(self) -> Vec<Process> {
        let is_child = |pid: &u32| Stat::read(*pid).is_some_and(|stat| stat.parent == self.postmaster.pid);
        let mut children: Vec<_> = processes().filter(is_child).map(|pid| Process { pid }).collect();
        children.sort_unstable_by_key(|child| child.pid);
        children
    }
}

/// What of `/proc/PID/stat` matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    program: String,
    parent: u32,
    own_ticks: u64,
    reaped_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name is in brackets and may hold spaces and brackets itself.
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            program: head.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: ticks(11)? + ticks(12)?,
            reaped_ticks: ticks(13)? + ticks(14)?,
        })
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn memory_mb(status: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes = line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0);
    round(kilobytes / 1024.0, 1)
}

/// How busy the machine is with everything, over the last minute.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

pub(super) fn round(number: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (number * factor).round() / factor
}

/// `part` of `whole`; 0 where there is nothing to compare with.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { round(part / whole, 3) } else { 0.0 }
}

/// Prints one JSON line, or a line for each number.
pub(super) fn print(is_json: bool, result: &impl Serialize) -> anyhow::Result<()> {
    if is_json {
        return output::line(serde_json::to_string(result)?);
    }
    let mut rows = Vec::new();
    output::flatten("", &serde_json::to_value(result)?, &mut |place, value| {
        let shown = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        rows.push(vec![place.replace('_', " ").replace('.', ": "), shown]);
    });
    output::text(&output::aligned(&rows))
}

/// CPU times by who used them, in microseconds for each of `count` things.
pub(super) fn cpu_micros_each(
    before: &BTreeMap<&'static str, f64>,
    after: &BTreeMap<&'static str, f64>,
    count: u64,
) -> BTreeMap<&'static str, f64> {
    let each = |name: &str, after: f64| {
        let used = after - before.get(name).copied().unwrap_or(0.0);
        round(used * 1e6 / count.max(1) as f64, 1)
    };
    after.iter().map(|(name, after)| (*name, each(name, *after))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let check = |times: Vec<f64>, p50: f64, p99: f64, max: f64| {
            let found = Percentiles::of(times);
            assert_eq!((found.p50_ms, found.p99_ms, found.max_ms), (p50, p99, max));
        };
        check(Vec::new(), 0.0, 0.0, 0.0);
        check(vec![3.0], 3.0, 3.0, 3.0);
        check(vec![2.0, 1.0], 1.0, 2.0, 2.0);
        check((1..=200).rev().map(f64::from).collect(), 100.0, 198.0, 200.0);
    }

    #[test]
    fn a_program_may_have_brackets_and_spaces_in_its_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4 1 2 3 4 150 50 10 5 20 0 4 0 99 1 2";
        let expected = Stat { program: "a) b (c".into(), parent: 7, own_ticks: 200, reaped_ticks: 15 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("42 (cut off) S 7"), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let this = Process { pid: std::process::id() };
        assert!(this.memory_mb() > 0.5, "{}", this.memory_mb());
        let started = this.cpu_seconds();
        let mut sum = 0_u64;
        while this.cpu_seconds() <= started {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(Process { pid: u32::MAX }.cpu_seconds() == 0.0);
    }

    #[test]
    fn memory_is_read_in_kilobytes() {
        assert_eq!(memory_mb("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n"), 2.0);
        assert_eq!(memory_mb("Name:\tx\n"), 0.0);
    }

    #[test]
    fn cpu_is_shared_out_over_what_was_done() {
        let before = BTreeMap::from([("node", 1.0)]);
        let after = BTreeMap::from([("node", 3.0), ("postgres", 1.0)]);
        let each = cpu_micros_each(&before, &after, 1_000);
        assert_eq!(each, BTreeMap::from([("node", 2_000.0), ("postgres", 1_000.0)]));
    }
}
