//! Rules for Markdown: a heading first, links that lead somewhere, and a section for every error code.

use super::Problem;
use crate::docs;
use crate::tree::{File, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        tree.with_extension("md").flat_map(|file| check_file(tree, file)).collect();
    problems.extend(check_generated(tree));
    problems
}

fn check_file(tree: &Tree, file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !first.starts_with("# ") {
        problems.push(Problem::new(file, 1, "does not open with a heading (`# ...`)"));
    }
    for (line, target) in links(&file.text) {
        if let Some(reason) = broken(tree, file, target) {
            problems.push(Problem::new(
                file,
                line,
                format!("link `{target}` {reason}; correct or remove it"),
            ));
        }
    }
    problems
}

fn check_generated(tree: &Tree) -> impl Iterator<Item = Problem> {
    docs::PAGES.iter().filter_map(|(path, page)| {
        let file = tree.file(path)?;
        let message = "is not what the code says; run `cargo xtask docs`";
        (file.text != page()).then(|| Problem::new(file, 0, message))
    })
}

/// The targets of all links and images, with their lines, outside code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (line, content) in prose_lines(text) {
        let mut rest = content;
        while let Some(start) = rest.find("](") {
            let is_in_code = content[..content.len() - rest.len() + start].matches('`').count() % 2 == 1;
            rest = &rest[start + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            if !is_in_code {
                found.push((line, &rest[..end]));
            }
        }
        if let Some((_, target)) = content.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push((line, target.split(' ').next().unwrap_or_default()));
        }
    }
    found
}

/// The lines outside fenced code, from 1.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

/// Why a link leads nowhere, if it does not.
fn broken(tree: &Tree, file: &File, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let resolved = if path.is_empty() { Some(file.path.clone()) } else { resolve(folder, path) };
    let Some(resolved) = resolved else { return Some("leaves the repository".to_owned()) };
    if !tree.contains(&resolved) {
        return Some(format!("leads to `{resolved}`, which does not exist"));
    }
    let page = tree.file(&resolved).filter(|page| !anchor.is_empty() && page.extension() == Some("md"))?;
    (!anchors(&page.text).iter().any(|known| known == anchor))
        .then(|| format!("names no heading of `{resolved}`"))
}

/// A relative path as one from the root; nothing if it climbs out of it.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().filter(|part| !part.is_empty())?),
            name => parts.push(name),
        }
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join("/"))
}

/// The anchors of a page's headings, as they are commonly made: lower case, hyphens for blanks, no other signs.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in prose_lines(text).map(|(_, line)| line).filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let repeats = anchors.iter().filter(|known| **known == anchor).count();
        anchors.push(if repeats == 0 { anchor } else { format!("{anchor}-{repeats}") });
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::super::{check_none, check_one};
    use super::*;

    fn one(text: &str, expected: &str) {
        check_one(
            check,
            &[("docs/a.md", text), ("README.md", "# Posthaste\n\n## Quick start: now\n")],
            expected,
        );
    }

    fn none(text: &str) {
        check_none(check, &[("docs/a.md", text), ("README.md", "# Posthaste\n\n## Quick start: now\n")]);
    }

    #[test]
    fn page_opens_with_a_heading() {
        one("Text.\n\n# Late\n", "docs/a.md:1: does not open with a heading");
    }

    #[test]
    fn link_to_nowhere_is_found() {
        one("# A\n[x](b.md)", "docs/a.md:2: link `b.md` leads to `docs/b.md`, which does not exist");
        one("# A\n![x](../logo.svg)", "leads to `logo.svg`");
        one("# A\n[x]: c.md", "leads to `docs/c.md`");
        one("# A\n[x](../../../README.md)", "leaves the repository");
    }

    #[test]
    fn anchor_must_be_a_heading() {
        one("# A\n[x](../README.md#slow-start)", "names no heading of `README.md`");
        one("# A\n[x](#b)", "names no heading of `docs/a.md`");
        none("# A\n[x](../README.md#quick-start-now) [y](#a)");
    }

    #[test]
    fn good_links_and_code_pass() {
        none(
            "# A\n[x](../README.md) [y](https://example.com/z) [w](../docs/) `a[0](b)`\n```\n[x](no.md)\n```\n",
        );
    }

    #[test]
    fn stale_page_of_codes_is_found() {
        let (path, page) = docs::PAGES[0];
        check_one(check, &[(path, "# Error codes\n")], "run `cargo xtask docs`");
        check_none(check, &[(path, &page())]);
    }
}
