//! A provider's snapshot of load by statement and by wait, as JSON.
//!
//! Its own recommendations are not repeated: what is said here is computed from its numbers. Not for: logs of lines.

use posthaste_base::{Code, Error};
use posthaste_report::{Confidence, Finding, Object, Severity};
use serde::Deserialize;

use super::{Told, at, shape, suspicions};
use crate::doctor::{counted, duration, shortened};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Snapshot {
    snapshot_time: String,
    db_instance: String,
    metrics: Metrics,
    #[serde(rename = "topSQL")]
    top_sql: Vec<Top>,
    wait_events: Waits,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "DBLoad")]
    load: Series,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Series {
    timestamps: Vec<String>,
    values: Vec<f64>,
    #[serde(rename = "vCPUs")]
    processors: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Top {
    sql_id: String,
    sql_text: String,
    db_load: f64,
    db_load_percent: f64,
    avg_latency: f64,
    calls_per_second: f64,
    rows_examined: i64,
    rows_returned: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Waits {
    top_waits: Vec<Wait>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wait {
    event_name: String,
    percent: f64,
}

pub(super) fn read(file: &str, text: &str) -> Result<Vec<Finding>, Error> {
    let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| {
        let place = format!("{file}, line {}, column {}", error.line(), error.column());
        Error::new(Code::InvalidFile, format!("{place}: {error}"))
    })?;
    if snapshot.top_sql.is_empty() && snapshot.metrics.load.values.is_empty() {
        return Err(Error::new(Code::InvalidFile, format!("{file} holds neither load nor statements"))
            .expected("`metrics.DBLoad` or `topSQL`"));
    }
    let mut findings: Vec<Finding> = load(file, &snapshot).into_iter().collect();
    findings.extend(snapshot.top_sql.iter().filter_map(|top| statement(file, text, top)));
    Ok(findings)
}

/// More sessions that work than processors: each waits for its turn.
fn load(file: &str, snapshot: &Snapshot) -> Option<Finding> {
    let series = &snapshot.metrics.load;
    let processors = series.processors.filter(|processors| *processors > 0.0)?;
    let peak = series.values.iter().copied().fold(0.0, f64::max);
    if peak <= processors {
        return None;
    }
    let severity = if peak >= 2.0 * processors { Severity::Critical } else { Severity::High };
    let message = format!(
        "{peak} sessions work at a time on {} of {}",
        counted(processors as i64, "processor"),
        snapshot.db_instance
    );
    let mut finding = at("insights-load", severity, message, file, 1)
        .about(Object {
            kind: "server".into(),
            name: Some(snapshot.db_instance.clone()),
            ..Object::default()
        })
        .count("processors", processors as i64);
    let points: Vec<String> = series
        .timestamps
        .iter()
        .zip(&series.values)
        .map(|(time, value)| format!("{} {value}", time.get(11..16).unwrap_or(time)))
        .collect();
    finding = finding.evidence(format!("load: {}, seen at {}", points.join(", "), snapshot.snapshot_time));
    let waits: Vec<String> = snapshot
        .wait_events
        .top_waits
        .iter()
        .take(3)
        .map(|wait| format!("{} {} %", wait.event_name, wait.percent))
        .collect();
    if !waits.is_empty() {
        finding = finding.evidence(format!("spent on: {}", waits.join(", ")));
    }
    Some(finding.remedy("take away the load of the first statement before adding processors", Vec::new()))
}

fn statement(file: &str, text: &str, top: &Top) -> Option<Finding> {
    let latency_s = top.avg_latency / 1_000.0;
    let a_row = top.rows_examined / top.rows_returned.max(1);
    let severity = match (top.db_load_percent, latency_s) {
        (percent, latency_s) if percent >= 25.0 && latency_s >= 1.0 => Severity::Critical,
        (percent, latency_s) if percent >= 25.0 || latency_s >= 1.0 => Severity::High,
        (_, latency_s) if latency_s >= 0.1 => Severity::Medium,
        _ => return None,
    };
    let message = format!(
        "one statement is {} % of the load: {} each, {} times a second, {} read for {}",
        top.db_load_percent,
        duration(latency_s),
        top.calls_per_second,
        counted(top.rows_examined, "row"),
        counted(top.rows_returned, "row")
    );
    let line = text.lines().position(|line| line.contains(&top.sql_id)).map_or(1, |place| place + 1);
    let shape = shape(&top.sql_text);
    let mut finding = at("insights-statement", severity, message, file, line)
        .about(Object { kind: "statement".into(), name: Some(top.sql_id.clone()), ..Object::default() })
        .count("mean_ms", top.avg_latency as i64)
        .count("rows_examined", top.rows_examined)
        .count("rows_returned", top.rows_returned)
        .sure(Confidence::Certain)
        .evidence(shortened(&top.sql_text, 300))
        .evidence(format!("{} sessions at a time, {} read for each row", top.db_load, counted(a_row, "row")));
    for suspicion in suspicions(&shape) {
        finding = finding.evidence(suspicion);
    }
    Some(finding.remedy(
        "give it join conditions and indexes for its filters; until then, switch off what sends it",
        Vec::new(),
    ))
}
