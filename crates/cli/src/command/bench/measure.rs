//! Numbers of a run: the CPU time of processes as `/proc` has them, and how they are printed.
//!
//! Not for: what is measured.

use std::fs;

use posthaste_base::Error;
use posthaste_pg::Pool;
use serde::Serialize;
use serde_json::Value;

use crate::output;

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
        let children = processes().filter_map(Stat::read).filter(|stat| stat.parent == self.postmaster.pid);
        self.postmaster.cpu_seconds() + seconds(children.map(|stat| stat.own_ticks).sum())
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

/// How busy the machine is with everything, over the last minute.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

pub(super) fn round(number: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (number * factor).round() / factor
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_brackets_and_spaces_in_its_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4 1 2 3 4 150 50 10 5 20 0 4 0 99 1 2";
        let expected = Stat { program: "a) b (c".into(), parent: 7, own_ticks: 200, reaped_ticks: 15 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("42 (cut off) S 7"), None);
    }

    #[test]
    fn this_process_uses_time() {
        let this = Process { pid: std::process::id() };
        let started = this.cpu_seconds();
        let mut sum = 0_u64;
        while this.cpu_seconds() <= started {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(Process { pid: u32::MAX }.cpu_seconds() == 0.0);
    }
}
