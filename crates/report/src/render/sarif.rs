//! A report as SARIF 2.1.0, which code hosts and editors read.
//!
//! Source: "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", OASIS. Not for: reading SARIF.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{RenderOptions, words};
use crate::{Finding, Report, Severity};

pub(super) fn render(report: &Report, options: &RenderOptions<'_>) -> String {
    let mut codes: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in &report.findings {
        // They are in order, so that the first is the worst.
        codes.entry(&finding.code).or_insert(finding);
    }
    let places: BTreeMap<&str, usize> =
        codes.keys().enumerate().map(|(place, code)| (*code, place)).collect();
    let rules: Vec<Value> = codes.iter().map(|(code, worst)| rule(code, worst, options)).collect();
    let results: Vec<Value> = report.findings.iter().map(|finding| result(finding, &places)).collect();
    let notes: Vec<Value> = report
        .skipped
        .iter()
        .map(|skipped| {
            let text = format!("Not looked at: {}: {}", skipped.what, skipped.why);
            json!({"level": "note", "message": {"text": text}})
        })
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "posthaste",
                "version": options.tool_version,
                "rules": rules,
            }},
            "automationDetails": {"id": format!("posthaste/{}/", report.tool)},
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
            "results": results,
            "properties": {"target": report.target, "summary": report.summary},
        }],
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn rule(code: &str, worst: &Finding, options: &RenderOptions<'_>) -> Value {
    let known = options.rules.iter().find(|rule| rule.code == code);
    let title = known.map_or_else(|| code.replace('-', " "), |rule| rule.title.clone());
    let help = known.map_or_else(|| title.clone(), |rule| rule.help.clone());
    let mut rule = json!({
        "id": code,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": help, "markdown": help},
        "defaultConfiguration": {"level": level(worst.severity)},
    });
    if let (Some(link), Some(rule)) = (known.and_then(|rule| rule.link.as_ref()), rule.as_object_mut()) {
        rule.insert("helpUri".into(), link.as_str().into());
    }
    rule
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

fn result(finding: &Finding, places: &BTreeMap<&str, usize>) -> Value {
    let mut location = Map::new();
    if let Some(place) = &finding.location {
        location.insert(
            "physicalLocation".into(),
            json!({
                "artifactLocation": {"uri": uri(&place.file)},
                "region": {"startLine": place.line.max(1), "startColumn": place.column.max(1)},
            }),
        );
    }
    if let Some(object) = words::object(&finding.object) {
        let mut logical = json!({"fullyQualifiedName": object});
        if let (false, Some(logical)) = (finding.object.kind.is_empty(), logical.as_object_mut()) {
            logical.insert("kind".into(), finding.object.kind.as_str().into());
        }
        location.insert("logicalLocations".into(), json!([logical]));
    }
    let locations: Vec<Value> = if location.is_empty() { Vec::new() } else { vec![location.into()] };
    json!({
        "ruleId": finding.code,
        "ruleIndex": places.get(finding.code.as_str()),
        "level": level(finding.severity),
        "message": {"text": message(finding)},
        "locations": locations,
        "properties": {
            "severity": finding.severity,
            "confidence": finding.confidence,
            "effect": finding.effect,
            "locks": finding.locks,
            "counts": finding.counts,
            "dependsOn": finding.depends_on,
        },
    })
}

/// A message is plain text in which brackets would make links.
fn message(finding: &Finding) -> String {
    let mut lines = vec![finding.message.clone()];
    lines.extend(words::evidence(finding));
    lines.extend(finding.remedy.iter().map(|remedy| remedy.text.clone()));
    let text = words::visible_lines(&lines.join("\n"));
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
}

/// A file's path as a reference: relative ones stay relative.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
