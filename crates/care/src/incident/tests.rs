//! An incident from its start to its report.

use posthaste_report::{Finding, Target};

use super::*;

/// A folder of one test's own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("posthaste-incident-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_772_355_600 + minute * 60).expect("a time")
}

fn note(incident: &Incident, kind: Kind, text: &str, minute: i64) {
    let entry = Entry { at: at(minute), by: "ada".into(), kind, text: text.into(), attachment: None };
    incident.add(entry).expect("the entry to be written");
}

fn report(findings: &[(&str, i64)]) -> String {
    let findings = findings.iter().map(|(code, rows)| {
        let mut finding = Finding::new(code, Severity::High, format!("{rows} rows <b>|"));
        finding.counts.extend([("rows".to_owned(), *rows), ("of".to_owned(), 100)]);
        finding
    });
    let target = Target { name: "shop".into(), server_version: None };
    serde_json::to_string(&Report::new("integrity", target, findings.collect(), Vec::new())).expect("json")
}

#[test]
fn a_report_tells_what_was_seen_done_and_left() {
    let folder = Folder::new("story");
    let all = folder.0.join("incidents");
    let incident = Incident::start(&all, "Shop is slow & wrong", "ada", at(0)).expect("an incident");
    note(&incident, Kind::Symptom, "product search takes 9 s", 1);
    let before = folder.file("found.json", &report(&[("orphans", 15), ("negative-value", 3)]));
    let after = folder.file("found2.json", &report(&[("negative-value", 3), ("variants", 2)]));
    incident.attach(&before, "first look", "ada", at(10)).expect("the report");
    note(&incident, Kind::Action, "ran the plan", 20);
    incident.attach(&after, "", "ada", at(30)).expect("the report");
    note(&incident, Kind::Prevention, "integrity runs every night", 40);
    incident.close(&all, "all well", "ada", at(50)).expect("the end");

    let story = incident.story().expect("the story");
    let changes: Vec<_> =
        story.changes.iter().map(|c| (c.finding.code.as_str(), c.before, c.after)).collect();
    assert_eq!(
        changes,
        [("negative-value", Some(3), Some(3)), ("orphans", Some(15), Some(0)), ("variants", None, Some(2))]
    );
    let markdown = story.to_markdown();
    for part in [
        "# Shop is slow & wrong",
        "From 2026-03-01 09:00:00 UTC to 2026-03-01 09:50:00 UTC.",
        "- product search takes 9 s",
        "| 09:10:00 | report by ada | first look: integrity of shop: 2 high (found.json) |",
        "15 rows \\<b\\>\\| | 15 rows before, 0 rows after |",
        "- 1 of 3 findings are mended",
        "- integrity runs every night",
    ] {
        assert!(markdown.contains(part), "{part} is not in\n{markdown}");
    }
    let html = story.to_html();
    assert!(html.contains("<title>Shop is slow &amp; wrong</title>") && html.contains("<svg"), "{html}");
    assert!(!html.contains("<b>"), "{html}");
}

#[test]
fn runs_and_counters_are_known_by_what_they_are() {
    let folder = Folder::new("kinds");
    let incident = Incident::start(&folder.0, "one", "ada", at(0)).expect("an incident");
    let run = r#"{"run": {"id": 7, "title": "mend", "state": "done", "startedAt": "2026-03-01T09:00:00.5Z",
        "finishedAt": "2026-03-01T09:01:00Z", "steps": [{"state": "done", "rows": 3}, {"state": "skipped", "rows": 0}]}}"#;
    let kept = incident.attach(&folder.file("run.json", run), "", "ada", at(1)).expect("the run");
    let said =
        "run 7 of mend is done: 1 of 2 steps done, 3 rows changed in batches, from 09:00:00 to 09:01:00";
    assert_eq!((kept.kind, kept.text.as_str()), (Kind::Run, said));
    assert!(incident.story().expect("the story").to_markdown().contains(said));
    let counters = folder.file(
        "counters.json",
        &Snapshot { version: 1, database: "shop".into(), ..Snapshot::default() }.to_json(),
    );
    let kept = incident.attach(&counters, "", "ada", at(2)).expect("the counters");
    assert_eq!((kept.kind, kept.text.as_str()), (Kind::Snapshot, "counters of shop"));
}

#[test]
fn what_has_no_number_of_its_own_is_there_or_gone() {
    let doctor = |codes: &[&str]| {
        let finding = |code: &&str| {
            let mut finding = Finding::new(code, Severity::High, "it is so");
            // The size of a table, which no remedy makes smaller.
            finding.counts.extend([("rows".to_owned(), 9_000), ("mean_ms".to_owned(), 700)]);
            finding
        };
        let target = Target { name: "shop".into(), server_version: None };
        let report = Report::new("doctor", target, codes.iter().map(finding).collect(), Vec::new());
        serde_json::to_string(&report).expect("json")
    };
    let folder = Folder::new("gone");
    let incident = Incident::start(&folder.0, "one", "ada", at(0)).expect("an incident");
    let before = folder.file("a.json", &doctor(&["autovacuum-off", "no-primary-key", "slow-query"]));
    incident.attach(&before, "", "ada", at(1)).expect("the report");
    incident
        .attach(&folder.file("b.json", &doctor(&["no-primary-key"])), "", "ada", at(2))
        .expect("the report");
    let markdown = incident.story().expect("the story").to_markdown();
    for row in ["it is so | mended |", "it is so | still there |", "it is so | 700 ms before, mended |"] {
        assert!(markdown.contains(row), "{row} is not in\n{markdown}");
    }
}

#[test]
fn one_incident_is_open_at_a_time_and_old_ones_are_found_by_name() {
    let folder = Folder::new("open");
    let all = folder.0.clone();
    assert!(Incident::current(&all).is_err());
    let first = Incident::start(&all, "one", "ada", at(0)).expect("an incident");
    assert_eq!(Incident::current(&all).expect("the open one").folder(), first.folder());
    let error = Incident::start(&all, "two", "ada", at(1)).expect_err("one is open");
    assert!(error.message().contains("still open"), "{error:?}");
    first.close(&all, "", "ada", at(2)).expect("the end");
    assert!(Incident::current(&all).is_err());
    Incident::start(&all, "../..//", "ada", at(3)).expect("a title is no path");
    let name = first.folder().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    assert_eq!(Incident::named(&all, &name).expect("by its name").entries().expect("its entries").len(), 2);
    assert!(Incident::named(&all, "..").is_err());
}

#[test]
fn a_line_that_a_crash_cut_takes_no_other_with_it() {
    let folder = Folder::new("cut");
    let incident = Incident::start(&folder.0, "one", "ada", at(0)).expect("an incident");
    let path = incident.folder().join(LOG);
    let text = fs::read_to_string(&path).expect("the log");
    fs::write(&path, format!("{text}{{\"at\": \"2026")).expect("a cut line");
    note(&incident, Kind::Note, "later", 1);
    note(&incident, Kind::Note, "last", 2);
    let texts: Vec<String> =
        incident.entries().expect("entries").into_iter().map(|entry| entry.text).collect();
    assert_eq!(texts, ["one", "later", "last"]);
}
