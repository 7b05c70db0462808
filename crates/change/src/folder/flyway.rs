//! Flyway: `V1_2__name.sql` forward, `U1_2__name.sql` back, `R__name.sql` whenever it changed; also in sub-folders.
//!
//! A file is a transaction, unless it holds a statement that must not be in one, or its `.conf` says
//! `executeInTransaction=false`. Source: Flyway's documentation, "Versioned migrations" and "Script configuration
//! files". Not for: migrations in Java, and placeholders.

use super::listing::Listing;
use super::{Migration, Order, Problems, Source, Wrapping};
use crate::outline;

struct Parts<'a> {
    prefix: char,
    numbers: Vec<u64>,
    version: String,
    description: &'a str,
}

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.nested.iter().any(|path| matches!(parts(path), Ok(Some(_))))
}

/// Nothing for a file that is none of Flyway's.
fn parts(path: &str) -> Result<Option<Parts<'_>>, &'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(stem) = name.strip_suffix(".sql") else { return Ok(None) };
    let mut letters = stem.chars();
    let prefix = letters.next().unwrap_or_default();
    let rest = letters.as_str();
    if !matches!(prefix, 'V' | 'U' | 'R' | 'B') || !rest.starts_with(|c: char| c.is_ascii_digit() || c == '_')
    {
        return Err("is named neither V{version}__, U{version}__ nor R__");
    }
    let Some((version, description)) = rest.split_once("__") else {
        return Err("has no `__` between its version and its description");
    };
    if description.is_empty() {
        return Err("has no description");
    }
    let version = version.replace('_', ".");
    let numbers: Option<Vec<u64>> = match version.is_empty() {
        true => Some(Vec::new()),
        false => version.split('.').map(|number| number.parse().ok()).collect(),
    };
    let Some(mut numbers) = numbers else { return Err("has a version that is no number") };
    if (prefix == 'R') != numbers.is_empty() {
        return Err("has a version where there is none, or none where there is one");
    }
    // 1.0 and 1 are one version.
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    Ok(Some(Parts { prefix, numbers, version, description }))
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let mut migrations: Vec<Migration> = Vec::new();
    let mut undo: Vec<(Vec<u64>, Source)> = Vec::new();
    for path in &listing.nested {
        let parts = match parts(path) {
            Ok(Some(parts)) => parts,
            Ok(None) => continue,
            Err(message) => {
                problems.say(path, message);
                continue;
            }
        };
        if parts.prefix == 'B' {
            problems.say(path, "is a baseline, which is not supported: remove it, or apply it with Flyway");
            continue;
        }
        let Some(source) = source(listing, path, problems) else { continue };
        if parts.prefix == 'U' {
            undo.push((parts.numbers, source));
            continue;
        }
        let name = parts.description.replace('_', " ");
        let is_repeatable = parts.prefix == 'R';
        migrations.push(Migration {
            version: if is_repeatable { format!("R {name}") } else { parts.version },
            order: Order {
                is_repeatable,
                text: if is_repeatable { name.clone() } else { String::new() },
                numbers: parts.numbers,
            },
            name,
            up: source,
            down: None,
            is_repeatable,
        });
    }
    for (numbers, source) in undo {
        match migrations.iter_mut().find(|m| !m.is_repeatable && m.order.numbers == numbers) {
            Some(migration) => migration.down = Some(source),
            None => problems.say(&source.file, "goes back from a version that is not there"),
        }
    }
    migrations
}

fn source(listing: &Listing, path: &str, problems: &mut Problems) -> Option<Source> {
    let text = listing.text(path, problems)?;
    if text.contains("${") {
        problems.say(path, "has placeholders (`${...}`), which only Flyway fills in");
    }
    let settings = format!("{path}.conf");
    let settings = if listing.has(&settings) { listing.text(&settings, problems)? } else { String::new() };
    let says_no = settings.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| {
        key.trim() == "executeInTransaction" && value.trim().eq_ignore_ascii_case("false")
    });
    let is_alone = says_no || outline::has_outsider(&text);
    let wrapping = if is_alone { Wrapping::Nothing } else { Wrapping::Transaction };
    Some(Source { file: path.to_owned(), text, first_line: 1, wrapping })
}
