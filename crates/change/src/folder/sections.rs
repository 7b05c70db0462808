//! The part of a file that goes forward and the part that goes back, for tools that keep both in one.
//!
//! Not for: what the marks say beside that.

use super::{Source, Wrapping};

/// Where a section begins and what stands behind its mark.
pub(super) struct Section {
    pub(super) source: Source,
    /// The rest of the mark's line.
    pub(super) options: String,
}

/// Splits at the lines that begin with one of the two marks, which are comments.
pub(super) fn split(file: &str, text: &str, up: &str, down: &str) -> (Option<Section>, Option<Section>) {
    let mut sections: Vec<(bool, Section)> = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mark = line.trim_start().strip_prefix("--").map(str::trim).unwrap_or_default();
        let found = [(true, up), (false, down)].into_iter().find_map(|(is_up, word)| {
            let rest = mark
                .get(..word.len())
                .filter(|start| start.eq_ignore_ascii_case(word))
                .map(|_| &mark[word.len()..])?;
            (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((is_up, rest.trim()))
        });
        if let Some((is_up, options)) = found {
            let source = Source {
                file: file.to_owned(),
                text: String::new(),
                first_line: u32::try_from(number + 1).unwrap_or(u32::MAX),
                wrapping: Wrapping::Transaction,
            };
            sections.push((is_up, Section { source, options: options.to_owned() }));
        }
        if let Some((_, section)) = sections.last_mut() {
            section.source.text.push_str(line);
        }
    }
    let mut up = None;
    let mut down = None;
    for (is_up, section) in sections {
        let place = if is_up { &mut up } else { &mut down };
        if place.is_none() {
            *place = Some(section);
        }
    }
    (up, down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_their_lines_and_options() {
        let text = "-- a\n-- migrate:up transaction:false\nx;\n\n-- migrate:down\ny;\n";
        let (up, down) = split("f", text, "migrate:up", "migrate:down");
        let (up, down) = (up.expect("up"), down.expect("down"));
        assert_eq!(up.source.text, "-- migrate:up transaction:false\nx;\n\n");
        assert_eq!((up.source.first_line, up.options.as_str()), (2, "transaction:false"));
        assert_eq!((down.source.first_line, down.source.text.as_str()), (5, "-- migrate:down\ny;\n"));
        assert!(split("f", "-- migrate:upward\n", "migrate:up", "migrate:down").0.is_none());
    }
}
