//! The settings of the local server, written to a file of our own that `postgresql.conf` includes last.
//!
//! Not for: what the operator sets. `alter system` is read after this file and wins.

use std::fmt::Write as _;

use super::LocalOptions;

pub(super) const FILE: &str = "posthaste.conf";

/// The whole file, for a machine with that much memory.
pub(super) fn text(options: &LocalOptions, memory_bytes: u64) -> String {
    let shared_buffers_mb = (memory_bytes / 8 / (1 << 20)).clamp(64, 512);
    let mut settings: Vec<(&str, String)> = vec![
        ("max_connections", "200".into()),
        ("shared_buffers", format!("{shared_buffers_mb}MB")),
        ("max_wal_size", "4GB".into()),
        ("wal_compression", "on".into()),
        ("fsync", "on".into()),
        ("full_page_writes", "on".into()),
        ("synchronous_commit", "on".into()),
        // Our statements are short: compiling one takes longer than running it.
        ("jit", "off".into()),
        ("random_page_cost", "1.1".into()),
        ("password_encryption", "scram-sha-256".into()),
        ("timezone", "UTC".into()),
        ("log_timezone", "UTC".into()),
        ("log_lock_waits", "on".into()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".into()),
        // A file for each day of the week, each overwritten a week later.
        ("logging_collector", "on".into()),
        ("log_directory", "log".into()),
        ("log_filename", "postgresql-%a.log".into()),
        ("log_truncate_on_rotation", "on".into()),
        ("log_rotation_age", "1d".into()),
        ("log_rotation_size", "0".into()),
    ];
    settings.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut text = String::from("# Written at every start. To change a setting, use `alter system`.\n");
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    text
}

/// The machine's memory, or what its control group leaves of it.
pub(super) fn memory_bytes() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let total = read("/proc/meminfo").and_then(|text| {
        let kilobytes =
            text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
        kilobytes.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    });
    let limit = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    total.unwrap_or(1 << 30).min(limit.unwrap_or(u64::MAX))
}
