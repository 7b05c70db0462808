//! The alarm rules of `docs/alarms.yml` speak of metrics and labels that there are.

use posthaste_observe::names::{ALL, Kind};

/// The words of a rule's expression that look like a metric, each with what stands in braces behind it.
fn selectors(expression: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("posthaste_") {
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let labels =
            behind.strip_prefix('{').and_then(|text| text.split_once('}')).map_or("", |(text, _)| text);
        found.push((name.to_owned(), labels.to_owned()));
        rest = behind;
    }
    found
}

#[test]
fn alarms_speak_of_metrics_and_labels_that_there_are() {
    let rules = include_str!("../../../docs/alarms.yml");
    let lines: Vec<&str> = rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut n_selectors = 0;
    for line in lines.iter().filter(|line| !line.contains("annotations:")) {
        for (name, labels) in selectors(line) {
            let stem = name.strip_suffix("_bucket").unwrap_or(&name);
            let metric = ALL.iter().find(|metric| metric.name == stem);
            let metric = metric.unwrap_or_else(|| panic!("there is no metric {stem}"));
            assert_eq!(name.ends_with("_bucket"), metric.kind == Kind::Histogram, "{name}");
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let label = label.trim().split(['=', '!']).next().unwrap_or_default();
                assert!(metric.labels.contains(&label), "{name} has no label `{label}`");
            }
            n_selectors += 1;
        }
    }
    let n_alerts = lines.iter().filter(|line| line.contains("- alert:")).count();
    assert!(n_alerts >= 15 && n_selectors >= n_alerts, "{n_alerts} alerts, {n_selectors} selectors");
}
