//! How bad it is: from bytes, seconds and traffic, and not from the words of a statement.
//!
//! What hurts is a lock that is held while others want in. So the severity of a blocking statement comes from two
//! numbers: how long the lock is held, and how many statements of clients would arrive in that time.
//!
//! | held for | nearly none wait (below 1) | some wait (below 100) | many wait |
//! | --- | --- | --- | --- |
//! | brief (`brief_ms`, 0.5 s) | none | none | none |
//! | a tenth of a client's patience (3 s) | info | low | medium |
//! | a client's patience (`client_timeout_ms`, 30 s) | low | medium | high |
//! | longer | medium | high | critical |
//!
//! Where those who wait would use up the free connections, it is at least high: then clients that never touch the table
//! fail too. A big cold table (an archive: minutes, nobody waits) is a medium; a small hot one (seconds, thousands
//! wait) is a high. An unknown traffic counts as many, an unknown size as longer than a client's patience, and
//! then critical, which is kept for what was measured, becomes high. Not for: what a statement locks (see `model`).

use posthaste_base::catalog::{Catalog, Relation, RelationKind, Server};
use posthaste_report::{Confidence, Effect, Evidence, LockMode, Severity};

use crate::config::Thresholds;

/// The answer, with all that it rests on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub severity: Severity,
    pub confidence: Confidence,
    pub evidence: Vec<Evidence>,
    pub depends_on: Vec<String>,
    pub seconds: Option<f64>,
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
}

/// What is known of a table's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Volume {
    Unknown,
    Known { rows: Option<u64>, heap: u64, indexes: u64 },
}

/// How it is worked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Scan,
    /// Reads the table, sorts, and writes an index.
    Build,
    Rewrite,
}

/// An index build reads, sorts and writes: it was measured to take two to four times as long as a scan.
const BUILD_FACTOR: f64 = 3.0;

impl Work {
    /// In the words of findings.
    pub(crate) fn effect(self) -> Effect {
        match self {
            Work::Scan | Work::Build => Effect::Scan,
            Work::Rewrite => Effect::Rewrite,
        }
    }
}

impl Volume {
    /// Of a table with all its partitions. Empty is a size as well.
    pub(crate) fn of(catalog: &Catalog, relation: &Relation) -> Self {
        if relation.kind == RelationKind::PartitionedTable {
            let parts = catalog.children(&relation.name).map(|child| Volume::of(catalog, child));
            return parts.fold(Volume::Known { rows: Some(0), heap: 0, indexes: 0 }, Volume::plus);
        }
        let indexes = relation.indexes.iter().map(|index| index.size.bytes).sum();
        let heap = relation.size.bytes + relation.size.toast_bytes;
        let activity = &relation.activity;
        if heap == 0 && relation.size.rows.is_none() {
            // Never analysed: the counters of the statistics still say whether anything was ever put in.
            let rows = activity.live_rows.max(activity.inserted.saturating_sub(activity.deleted));
            let width: u64 = relation.columns.iter().map(width_of).sum();
            return Volume::Known { rows: Some(rows), heap: rows * (width + ROW_OVERHEAD), indexes };
        }
        Volume::Known { rows: relation.size.rows, heap, indexes }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (
                Volume::Known { rows, heap, indexes },
                Volume::Known { rows: more_rows, heap: more_heap, indexes: more_indexes },
            ) => Volume::Known {
                rows: rows.zip(more_rows).map(|(rows, more)| rows + more),
                heap: heap + more_heap,
                indexes: indexes + more_indexes,
            },
            _ => Volume::Unknown,
        }
    }

    pub(crate) fn rows(self) -> Option<u64> {
        match self {
            Volume::Unknown => None,
            Volume::Known { rows, .. } => rows,
        }
    }

    pub(crate) fn bytes(self, work: Work) -> Option<u64> {
        match self {
            Volume::Unknown => None,
            Volume::Known { heap, indexes, .. } => {
                Some(if work == Work::Rewrite { heap + indexes } else { heap })
            }
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        matches!(self, Volume::Known { rows: Some(0), .. } | Volume::Known { rows: None, heap: 0, .. })
    }
}

/// The header of a row and its line pointer.
const ROW_OVERHEAD: u64 = 28;

fn width_of(column: &posthaste_base::catalog::Column) -> u64 {
    column.width_bytes.and_then(|width| u64::try_from(width).ok()).unwrap_or(16)
}

/// Seconds that the work takes on this server, and whether the rate was measured.
pub(crate) fn seconds(
    bytes: u64,
    work: Work,
    server: Option<&Server>,
    thresholds: &Thresholds,
) -> (f64, bool) {
    let measured = server.and_then(|server| match work {
        Work::Rewrite => server.rewrite_bytes_per_s,
        _ => server.scan_bytes_per_s,
    });
    let assumed = match work {
        Work::Rewrite => thresholds.rewrite_bytes_per_s,
        _ => thresholds.scan_bytes_per_s,
    };
    let rate = measured.filter(|rate| *rate > 0).unwrap_or(assumed);
    let factor = match work {
        Work::Build => BUILD_FACTOR,
        Work::Scan | Work::Rewrite => 1.0,
    };
    (to_f64(bytes) / to_f64(rate) * factor, measured.is_some())
}

/// Statements a second that a lock of that mode on the table keeps waiting; none when nobody counted.
pub(crate) fn blocked_per_s(relation: &Relation, server: Option<&Server>, mode: LockMode) -> Option<f64> {
    let activity = &relation.activity;
    if !mode.blocks_writes() {
        return Some(0.0);
    }
    let elapsed_s = match (activity.since, server.and_then(|server| server.read_at)) {
        (Some(since), Some(read_at)) => Some(read_at.as_second() - since.as_second()).filter(|s| *s > 0),
        _ => None,
    };
    let per_s =
        |count: u64| elapsed_s.map(|elapsed| to_f64(count) / to_f64(u64::try_from(elapsed).unwrap_or(1)));
    let written = activity.inserted + activity.updated + activity.deleted;
    let writes = activity.writes_per_s.or_else(|| per_s(written))?;
    if !mode.blocks_reads() {
        return Some(writes);
    }
    let reads = per_s(activity.sequential_scans + activity.index_scans);
    Some(writes + reads.unwrap_or(0.0))
}

/// What a lock costs that is held for so long, on a table of which this is known.
pub(crate) struct Hold<'a> {
    /// As it was before the migration; none without a catalog, or when it is not there.
    pub relation: Option<&'a Relation>,
    pub server: Option<&'a Server>,
    /// For what is said, such as `public.users`.
    pub table: String,
    pub mode: LockMode,
    pub seconds: Option<f64>,
}

impl Hold<'_> {
    /// The severity by the table above; none when it is too brief to be felt.
    pub(crate) fn severity(&self, thresholds: &Thresholds) -> Option<(Severity, Vec<Evidence>, Vec<String>)> {
        let mut evidence = Vec::new();
        let mut depends_on = Vec::new();
        let Some(held_s) = self.seconds else {
            depends_on.push(format!("the size of {}", self.table));
            depends_on.push(format!("how much {} is used", self.table));
            return Some((Severity::High, evidence, depends_on));
        };
        if held_s * 1000.0 < to_f64(thresholds.brief_ms) {
            return None;
        }
        let per_s = self.relation.and_then(|relation| blocked_per_s(relation, self.server, self.mode));
        let waiting = per_s.map(|per_s| per_s * held_s);
        match (per_s, waiting) {
            (Some(per_s), Some(waiting)) => evidence.push(Evidence {
                text: format!(
                    "{} sees {per_s:.1} statements a second that would wait: about {} in {}",
                    self.table,
                    rounded(waiting),
                    duration(held_s)
                ),
                age_s: None,
            }),
            _ => depends_on.push(format!("how much {} is used", self.table)),
        }
        let row = if held_s * 10_000.0 <= to_f64(thresholds.client_timeout_ms) {
            [Severity::Info, Severity::Low, Severity::Medium]
        } else if held_s * 1000.0 <= to_f64(thresholds.client_timeout_ms) {
            [Severity::Low, Severity::Medium, Severity::High]
        } else {
            [Severity::Medium, Severity::High, Severity::Critical]
        };
        let mut severity = match waiting {
            Some(waiting) if waiting < 1.0 => row[0],
            Some(waiting) if waiting < 100.0 => row[1],
            Some(_) => row[2],
            None => row[2].max(Severity::High),
        };
        let free = self.server.and_then(|s| Some(s.connections_max?.saturating_sub(s.connections?)));
        if let (Some(free), Some(waiting)) = (free, waiting)
            && waiting >= f64::from(free)
        {
            severity = severity.min(Severity::High);
            let text = format!("{free} connections are free: those who wait would use them up");
            evidence.push(Evidence { text, age_s: None });
        }
        Some((severity, evidence, depends_on))
    }
}

#[expect(clippy::cast_precision_loss, reason = "estimates; what is lost is below a thousandth")]
pub(crate) fn to_f64(value: u64) -> f64 {
    value as f64
}

/// `1.2 GB`, as people say it.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = to_f64(bytes);
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", units[unit]) }
}

/// `40 s`, `3 min`, `2.5 h`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// `1,234` or `2.5 M`.
pub(crate) fn count(value: u64) -> String {
    match value {
        0..=9_999 => value.to_string(),
        10_000..=999_999 => format!("{:.0} k", to_f64(value) / 1e3),
        _ => format!("{:.1} M", to_f64(value) / 1e6),
    }
}

fn rounded(value: f64) -> String {
    format!("{value:.0}")
}

#[cfg(test)]
mod tests {
    use posthaste_base::catalog::{Activity, Name, Size};

    use super::*;

    const MB: u64 = 1 << 20;

    fn table(mb: u64, writes_per_s: Option<f64>) -> Relation {
        Relation {
            name: Name::new("public", "t"),
            size: Size { rows: Some(mb * 10_000), bytes: mb * MB, toast_bytes: 0 },
            activity: Activity { writes_per_s, ..Activity::default() },
            ..Relation::default()
        }
    }

    fn check(mb: u64, writes_per_s: Option<f64>, expected: Option<Severity>) {
        let relation = table(mb, writes_per_s);
        let thresholds = Thresholds::default();
        let (held_s, _) = seconds(mb * MB, Work::Scan, None, &thresholds);
        let hold = Hold {
            relation: Some(&relation),
            server: None,
            table: "public.t".to_owned(),
            mode: LockMode::Share,
            seconds: Some(held_s),
        };
        let found = hold.severity(&thresholds).map(|(severity, ..)| severity);
        assert_eq!(found, expected, "{mb} MB, {writes_per_s:?} writes a second");
    }

    #[test]
    fn a_big_cold_table_and_a_small_hot_one_differ() {
        check(1, Some(1000.0), None);
        check(100_000, Some(0.0), Some(Severity::Medium));
        check(100_000, Some(1000.0), Some(Severity::Critical));
        check(1_000, Some(1000.0), Some(Severity::High));
        check(200, Some(1000.0), Some(Severity::Medium));
        check(200, Some(0.1), Some(Severity::Info));
    }

    #[test]
    fn unknown_traffic_is_the_worst_plausible_but_never_critical() {
        check(100_000, None, Some(Severity::High));
        check(1_000, None, Some(Severity::High));
        check(200, None, Some(Severity::Medium).map(|s| s.max(Severity::High)));
    }

    #[test]
    fn connections_that_run_out_make_it_worse() {
        let relation = table(200, Some(60.0));
        let thresholds = Thresholds::default();
        let server = Server { connections: Some(250), connections_max: Some(300), ..Server::default() };
        let hold = |server| Hold {
            relation: Some(&relation),
            server,
            table: "public.t".to_owned(),
            mode: LockMode::Share,
            seconds: Some(2.0),
        };
        assert_eq!(hold(None).severity(&thresholds).unwrap().0, Severity::Medium);
        assert_eq!(hold(Some(&server)).severity(&thresholds).unwrap().0, Severity::High);
    }

    #[test]
    fn a_measured_rate_goes_before_the_assumed_one() {
        let server = Server { scan_bytes_per_s: Some(50 * MB), ..Server::default() };
        let thresholds = Thresholds::default();
        assert_eq!(seconds(100 * MB, Work::Scan, Some(&server), &thresholds), (2.0, true));
        assert_eq!(seconds(100 * MB, Work::Scan, None, &thresholds), (1.0, false));
        assert_eq!(seconds(100 * MB, Work::Build, None, &thresholds), (3.0, false));
        assert_eq!(seconds(0, Work::Rewrite, None, &thresholds), (0.0, false));
    }

    #[test]
    fn reads_count_when_they_are_blocked_too() {
        let mut relation = table(100, None);
        relation.activity.since = Some("1970-01-01T00:00:00Z".parse().unwrap());
        relation.activity.updated = 100;
        relation.activity.index_scans = 900;
        let server = Server { read_at: Some("1970-01-01T00:00:10Z".parse().unwrap()), ..Server::default() };
        assert_eq!(blocked_per_s(&relation, Some(&server), LockMode::Share), Some(10.0));
        assert_eq!(blocked_per_s(&relation, Some(&server), LockMode::AccessExclusive), Some(100.0));
        assert_eq!(blocked_per_s(&relation, None, LockMode::Share), None);
    }

    #[test]
    fn partitions_count_together_and_emptiness_is_known() {
        let mut parent = table(0, None);
        parent.kind = RelationKind::PartitionedTable;
        let mut child = table(7, None);
        child.name = Name::new("public", "t_1");
        child.parents = vec![parent.name.clone()];
        let catalog = Catalog { relations: vec![parent.clone(), child], ..Catalog::default() };
        assert_eq!(Volume::of(&catalog, &parent).bytes(Work::Scan), Some(7 * MB));
        let never_analysed = Relation::default();
        assert!(Volume::of(&catalog, &never_analysed).is_empty());
        let filled =
            Relation { activity: Activity { live_rows: 5, ..Activity::default() }, ..Relation::default() };
        assert!(!Volume::of(&catalog, &filled).is_empty());
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([size(12), size(5 * MB), size(3000 * MB)], ["12 bytes", "5.0 MB", "2.9 GB"]);
        assert_eq!(
            [duration(0.25), duration(40.0), duration(600.0), duration(9000.0)],
            ["250 ms", "40 s", "10 min", "2.5 h"]
        );
        assert_eq!([count(12), count(25_000), count(2_500_000)], ["12", "25 k", "2.5 M"]);
    }
}
