//! The process's own metrics under the names that Prometheus's client libraries use, read from `/proc` when
//! they are rendered. On a system without `/proc` they are left out.
//!
//! Not for: metrics of PostgreSQL or of the machine.

use std::fmt::{Display, Write};
use std::fs;

use crate::names::{self, Metric};

/// The unit of the times in `/proc`, which the kernel fixes at 100 a second for user space.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

pub(crate) fn render(text: &mut String) {
    let Some(stat) = fs::read_to_string("/proc/self/stat").ok() else { return };
    // The command's name stands in brackets and may hold anything, so counting starts behind the last one.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return };
    let fields: Vec<u64> = fields.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    // Numbered as in proc(5), where the field behind the brackets is the third.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);

    append(text, &names::PROCESS_CPU, (field(14) + field(15)) as f64 / TICKS_PER_SECOND);
    append(text, &names::PROCESS_THREADS, field(20));
    append(text, &names::PROCESS_MEMORY, field(24) * PAGE_BYTES);
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        append(text, &names::PROCESS_OPEN_FDS, entries.count());
    }
    if let Some(boot) = boot_seconds() {
        append(text, &names::PROCESS_START, boot + field(22) as f64 / TICKS_PER_SECOND);
    }
}

fn append(text: &mut String, metric: &Metric, value: impl Display) {
    let Metric { name, help, kind, .. } = metric;
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}\n{name} {value}\n", kind.as_str());
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}
