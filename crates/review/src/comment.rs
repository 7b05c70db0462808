//! Splits SQL text into code, quoted text and comments, as PostgreSQL's scanner does.
//!
//! It works on text that does not parse as well, for what is written in comments: ignores, and marks of tools.
//! Not for: the statements themselves (see `parse`).

/// A part of the text; all parts together are the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Code(&'a str),
    /// A string, a quoted name or a dollar-quoted body, with its quotes.
    Quoted(&'a str),
    /// With its marks; one that ends a line does not hold the line's end.
    Comment(&'a str),
}

impl<'a> Piece<'a> {
    pub(crate) fn text(self) -> &'a str {
        match self {
            Piece::Code(text) | Piece::Quoted(text) | Piece::Comment(text) => text,
        }
    }
}

/// The parts in order.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut code = 0;
    while code < rest.len() {
        let here = &rest[code..];
        let special = match here.as_bytes()[0] {
            b'-' if here.starts_with("--") => {
                Some(Piece::Comment(&here[..here.find('\n').unwrap_or(here.len())]))
            }
            b'/' if here.starts_with("/*") => Some(Piece::Comment(&here[..block_length(here)])),
            b'\'' => Some(Piece::Quoted(&here[..string_length(here, is_escaping(&rest[..code]))])),
            b'"' => Some(Piece::Quoted(&here[..string_length(here, false)])),
            b'$' if !ends_in_name(&rest[..code]) => {
                dollar_length(here).map(|length| Piece::Quoted(&here[..length]))
            }
            _ => None,
        };
        let Some(piece) = special else {
            code += here.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if code > 0 {
            pieces.push(Piece::Code(&rest[..code]));
        }
        rest = &here[piece.text().len()..];
        code = 0;
        pieces.push(piece);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Code(rest));
    }
    pieces
}

/// Whether a text says nothing: it has only comments and blanks.
pub fn is_empty(text: &str) -> bool {
    pieces(text).into_iter().all(|piece| match piece {
        Piece::Code(code) => code.trim_matches([';', '\u{feff}']).trim().is_empty(),
        Piece::Quoted(_) => false,
        Piece::Comment(_) => true,
    })
}

/// The comments with the offset of each.
pub(crate) fn comments(text: &str) -> Vec<(usize, &str)> {
    let mut offset = 0;
    let mut found = Vec::new();
    for piece in pieces(text) {
        if let Piece::Comment(comment) = piece {
            found.push((offset, comment));
        }
        offset += piece.text().len();
    }
    found
}

/// What a comment says, without its marks: a line each.
pub(crate) fn words(comment: &str) -> impl Iterator<Item = &str> {
    let inner = comment.strip_prefix("/*").map(|text| text.strip_suffix("*/").unwrap_or(text));
    let inner = inner.or_else(|| comment.strip_prefix("--")).unwrap_or(comment);
    inner.lines().map(|line| line.trim().trim_start_matches("* ").trim())
}

/// Block comments nest.
fn block_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Up to the closing quote; a doubled one does not close, and in an escape string neither does `\'`.
fn string_length(text: &str, is_escaping: bool) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[0];
    let mut at = 1;
    while at < bytes.len() {
        if is_escaping && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    text.len()
}

/// Whether the code before a quote ends in a lone `E`.
fn is_escaping(code: &str) -> bool {
    let mut before = code.chars().rev();
    matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn ends_in_name(code: &str) -> bool {
    code.chars().next_back().is_some_and(is_of_name)
}

/// The length of `$tag$ ... $tag$`, or none when it is a parameter such as `$1`.
fn dollar_length(text: &str) -> Option<usize> {
    let tag = &text[1..1 + text[1..].find('$')?];
    let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_tag {
        return None;
    }
    let open = tag.len() + 2;
    let close = text[open..].find(&text[..open]).map_or(text.len(), |at| open + at + open);
    Some(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = comments(text).into_iter().map(|(_, comment)| comment).collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(pieces(text).into_iter().map(Piece::text).collect::<String>(), text, "nothing is lost");
    }

    #[test]
    fn comments_are_found_where_they_are_comments() {
        check("a -- b\nc", &["-- b"]);
        check("a /* b /* c */ d */ e", &["/* b /* c */ d */"]);
        check("'-- no' -- yes", &["-- yes"]);
        check("'it''s -- no' -- yes", &["-- yes"]);
        check("e'\\' -- no' -- yes", &["-- yes"]);
        check("'\\' -- yes", &["-- yes"]);
        check("\"a -- no\" -- yes", &["-- yes"]);
        check("$$ -- no $$ -- yes", &["-- yes"]);
        check("$a$ $b$ -- no $b$ -- no $a$ -- yes", &["-- yes"]);
        check("$1 -- yes $1", &["-- yes $1"]);
        check("a$$ -- yes", &["-- yes"]);
        check("ä -- ö", &["-- ö"]);
    }

    #[test]
    fn what_does_not_end_goes_on_to_the_end() {
        check("/* a", &["/* a"]);
        check("'a -- no", &[]);
        check("$x$ a -- no", &[]);
        check("e'\\", &[]);
        check("$", &[]);
        check("", &[]);
    }

    #[test]
    fn words_have_no_marks() {
        assert_eq!(words("-- a b").collect::<Vec<_>>(), ["a b"]);
        assert_eq!(words("/* a\n * b */").collect::<Vec<_>>(), ["a", "b"]);
    }
}
