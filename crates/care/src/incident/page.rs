//! The report of an incident as Markdown, and as a page that stands alone.
//!
//! Texts come from people and databases: they are escaped, so that none is taken for a mark of the form. Not for: what
//! happened (see `story`).

use std::fmt::Write as _;

use super::story::{Change, Story};
use crate::doctor::{bytes, duration, shortened};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;\
background:#fff}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #d0d7de;padding:.3rem .6rem;\
text-align:left;vertical-align:top;overflow-wrap:anywhere}td:first-child{white-space:nowrap}svg text{font:12px system-ui,sans-serif;fill:currentColor}.before{fill:#cf222e;background:#cf222e}\
.after{fill:#1a7f37;background:#1a7f37}.key span{display:inline-block;width:.8rem;height:.8rem;margin-left:.6rem}@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}}";

/// One section: a heading and its rows or lines.
enum Part {
    Lines(Vec<String>),
    Table(Vec<[String; 3]>, [&'static str; 3]),
}

impl Story {
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", plain(&self.title), self.span());
        for (heading, part) in self.parts() {
            let _ = write!(text, "\n## {heading}\n\n");
            match part {
                Part::Lines(lines) if lines.is_empty() => text.push_str("None.\n"),
                Part::Lines(lines) => {
                    lines.iter().for_each(|line| text.push_str(&format!("- {}\n", plain(line))))
                }
                Part::Table(rows, heads) => {
                    let _ = write!(text, "| {} |\n| --- | --- | --- |\n", heads.join(" | "));
                    for row in rows {
                        let _ = writeln!(text, "| {} |", row.map(|cell| plain(&cell)).join(" | "));
                    }
                }
            }
        }
        text
    }

    pub fn to_html(&self) -> String {
        let title = escaped(&self.title);
        let mut text = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
             <p>{}</p>\n",
            escaped(&self.span())
        );
        for (heading, part) in self.parts() {
            let _ = writeln!(text, "<h2>{heading}</h2>");
            if heading == "Findings" {
                text.push_str(&self.charts());
            }
            match part {
                Part::Lines(lines) if lines.is_empty() => text.push_str("<p>None.</p>\n"),
                Part::Lines(lines) => {
                    let items: String =
                        lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
                    let _ = write!(text, "<ul>\n{items}</ul>\n");
                }
                Part::Table(rows, heads) => {
                    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
                    let _ = writeln!(text, "<table><tr>{heads}</tr>");
                    for row in rows {
                        let cells: String =
                            row.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
                        let _ = writeln!(text, "<tr>{cells}</tr>");
                    }
                    text.push_str("</table>\n");
                }
            }
        }
        text.push_str("</body></html>\n");
        text
    }

    fn span(&self) -> String {
        let time =
            |at: Option<jiff::Timestamp>| at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
        match (time(self.started_at), time(self.closed_at)) {
            (Some(from), Some(to)) => format!("From {from} to {to}."),
            (Some(from), None) => format!("Since {from}; not closed yet."),
            _ => String::new(),
        }
    }

    fn parts(&self) -> Vec<(&'static str, Part)> {
        let timeline = self.timeline.iter().map(|entry| {
            let kind =
                serde_json::to_value(entry.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
            let file = entry.attachment.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
            [
                entry.at.strftime("%H:%M:%S").to_string(),
                format!("{} by {}", kind.unwrap_or_default(), entry.by),
                format!("{}{file}", entry.text),
            ]
        });
        let findings = self.changes.iter().map(|change| {
            let evidence: Vec<String> = change
                .finding
                .evidence
                .iter()
                .take(3)
                .map(|evidence| shortened(&evidence.text, 160))
                .collect();
            let evidence =
                if evidence.is_empty() { String::new() } else { format!(". {}", evidence.join("; ")) };
            [
                format!("{} ({})", change.finding.severity, change.tool),
                format!("{}{evidence}", change.finding.message),
                before_after(change),
            ]
        });
        let mut done = self.actions.clone();
        done.extend(self.plans.iter().map(|plan| {
            let titles: Vec<&str> = plan.steps().map(|step| step.title.as_str()).collect();
            format!("plan {}: {}", plan.title, titles.join("; "))
        }));
        done.extend(self.runs.iter().cloned());
        if !self.changes.is_empty() {
            done.push(format!("{} of {} findings are mended", self.mended().count(), self.changes.len()));
        }
        let left = self.left().map(|change| {
            let remedy = change.finding.remedy.as_ref().map(|remedy| format!(". To do: {}", remedy.text));
            format!("{}{}", change.finding.message, remedy.unwrap_or_default())
        });
        vec![
            ("Symptoms", Part::Lines(self.symptoms.clone())),
            ("Timeline", Part::Table(timeline.collect(), ["time (UTC)", "what", "text"])),
            ("Findings", Part::Table(findings.collect(), ["severity", "what was found", "before and after"])),
            ("What was done", Part::Lines(done)),
            ("What is left", Part::Lines(left.collect())),
            ("Prevention", Part::Lines(self.prevention.clone())),
        ]
    }

    /// Bars for the numbers before and after, those of one unit together, on a logarithmic scale: 3 and 3,000 are both
    /// to be seen.
    fn charts(&self) -> String {
        let mut units: Vec<&str> = Vec::new();
        for unit in
            self.changes.iter().filter(|change| change.after.is_some()).filter_map(|change| change.unit)
        {
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
        units.into_iter().map(|unit| self.chart(unit)).collect()
    }

    fn chart(&self, unit: &str) -> String {
        let is_shown = |change: &&Change| change.unit == Some(unit) && change.after.is_some();
        let shown: Vec<&Change> = self.changes.iter().filter(is_shown).take(40).collect();
        let log = |number: i64| (number.max(0) as f64 + 1.0).ln();
        let most = shown.iter().flat_map(|c| [c.before, c.after]).flatten().map(log).fold(1.0, f64::max);
        let mut text = format!(
            "<h3>{}</h3>\n<p class=\"key\"><span class=\"before\"></span> before <span class=\"after\"></span> after</p>\n\
             <svg role=\"img\" aria-label=\"{unit} before and after\" width=\"100%\" viewBox=\"0 0 800 {}\">\n",
            capital(unit),
            shown.len() * 34
        );
        for (place, change) in shown.iter().enumerate() {
            let top = place * 34;
            let label = escaped(&shortened(&label(change), 46));
            let _ = writeln!(text, "<text x=\"0\" y=\"{}\">{label}</text>", top + 18);
            for (row, (class, number)) in
                [("before", change.before), ("after", change.after)].into_iter().enumerate()
            {
                let number = number.unwrap_or(0);
                // Nobody has measured that it takes no time: it is no longer found.
                let said = match (class, number, unit) {
                    ("after", 0, "ms" | "bytes") => "mended".to_owned(),
                    _ => amount(number, Some(unit)),
                };
                let (y, width) = (top + 2 + row * 14, 340.0 * log(number) / most);
                let _ = writeln!(
                    text,
                    "<rect class=\"{class}\" x=\"330\" y=\"{y}\" width=\"{:.0}\" height=\"12\"/>\
                     <text x=\"{:.0}\" y=\"{}\">{said}</text>",
                    width.max(1.0),
                    336.0 + width,
                    y + 10
                );
            }
        }
        text.push_str("</svg>\n");
        text
    }
}

/// What a bar is about: the check, and the object with its columns.
fn label(change: &Change) -> String {
    let object = &change.finding.object;
    // A statement's number says nothing to a reader.
    if let (Some(text), "statement") = (change.finding.evidence.first(), object.kind.as_str()) {
        return text.text.clone();
    }
    let name = object.table.as_ref().or(object.name.as_ref()).cloned().unwrap_or_default();
    let columns =
        if object.columns.is_empty() { String::new() } else { format!(" ({})", object.columns.join(", ")) };
    format!("{} {name}{columns}", change.finding.code)
}

fn capital(word: &str) -> String {
    match word {
        "ms" => "Milliseconds".to_owned(),
        word => word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect(),
    }
}

fn amount(number: i64, unit: Option<&str>) -> String {
    match unit {
        Some("bytes") => bytes(number),
        Some("ms") => duration(number as f64 / 1_000.0),
        _ => number.to_string(),
    }
}

fn before_after(change: &Change) -> String {
    let said = |number: i64| match change.unit {
        None => String::new(),
        unit @ Some("ms" | "bytes") => amount(number, unit),
        Some(unit) => format!("{number} {unit}"),
    };
    match (change.before, change.after, change.unit) {
        (None, Some(_), None) => "new".to_owned(),
        (None, Some(after), _) => format!("new: {}", said(after)),
        (Some(_), Some(0), None) => "mended".to_owned(),
        (Some(_), Some(_), None) => "still there".to_owned(),
        (Some(_), None, None) => "not looked at again".to_owned(),
        // What takes no time any more is no longer found.
        (Some(before), Some(0), Some("ms" | "bytes")) => format!("{} before, mended", said(before)),
        (Some(before), Some(after), _) => format!("{} before, {} after", said(before), said(after)),
        (Some(before), None, _) => format!("{}; not looked at again", said(before)),
        (None, None, _) => String::new(),
    }
}

/// One line without anything that Markdown would take for its own.
fn plain(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' => line.push(' '),
            letter if letter.is_control() => {}
            '|' | '<' | '>' | '*' | '_' | '[' | ']' | '#' | '\\' => line.extend(['\\', letter]),
            letter => line.push(letter),
        }
    }
    line
}

fn escaped(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        match letter {
            '&' => line.push_str("&amp;"),
            '<' => line.push_str("&lt;"),
            '>' => line.push_str("&gt;"),
            '"' => line.push_str("&quot;"),
            '\n' => line.push(' '),
            letter if letter.is_control() => {}
            letter => line.push(letter),
        }
    }
    line
}
