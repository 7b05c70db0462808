//! Takes Rust source apart into code, string literals and comments, as far as the checks need. Not for: parsing.

use std::ops::Range;

/// A string literal or a comment: its text without its marks, and where that starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

/// One source file, taken apart.
pub(super) struct Source<'a> {
    /// The code, of the same length: what literals and comments held is blanks.
    pub(super) code: String,
    pub(super) strings: Vec<Piece<'a>>,
    pub(super) comments: Vec<Piece<'a>>,
    /// The parts that are compiled for tests alone.
    test_ranges: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let code = String::with_capacity(text.len());
        let mut source = Source { code, strings: vec![], comments: vec![], test_ranges: vec![] };
        let mut at = 0;
        while at < text.len() {
            at = source.take(text, at);
        }
        source.test_ranges = test_ranges(&source.code);
        source
    }

    /// Whether what stands there is compiled for tests alone.
    pub(super) fn is_for_tests(&self, offset: usize) -> bool {
        self.test_ranges.iter().any(|range| range.contains(&offset))
    }

    /// Takes what starts at `at`, and returns where the next thing starts.
    fn take(&mut self, text: &'a str, at: usize) -> usize {
        let rest = &text[at..];
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            self.comments.push(Piece { offset: at + 2, text: &rest[2..end] });
            return self.blank(text, at, at + end);
        }
        if rest.starts_with("/*") {
            let end = end_of_block_comment(rest);
            self.comments.push(Piece { offset: at + 2, text: &rest[2..end] });
            return self.blank(text, at, at + end);
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        if !text[..at].ends_with(is_part)
            && let Some((start, length, end)) = string_literal(rest)
        {
            self.strings.push(Piece { offset: at + start, text: &rest[start..start + length] });
            return self.blank(text, at, at + end);
        }
        if let Some(end) = char_literal(rest) {
            return self.blank(text, at, at + end);
        }
        let length = rest.chars().next().map_or(1, char::len_utf8);
        self.code.push_str(&rest[..length]);
        at + length
    }

    fn blank(&mut self, text: &str, start: usize, end: usize) -> usize {
        self.code.extend(text[start..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        end
    }
}

/// What follows each `#[cfg(test)]`, to its closing brace.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let rest = &code[start..];
        let Some(open) = rest.find(['{', ';']) else { continue };
        let mut depth = 0_usize;
        let end = rest[open..].bytes().position(|byte| {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        ranges.push(start..start + open + end.unwrap_or(rest.len() - open));
    }
    ranges
}

fn end_of_block_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// If a string literal starts here, in any of its forms: where its content starts, how long that is, and where
/// the literal ends.
fn string_literal(text: &str) -> Option<(usize, usize, usize)> {
    let mark = text.bytes().take(3).position(|byte| byte == b'"' || byte == b'#')?;
    let prefix = &text[..mark];
    if !["", "b", "c", "r", "br", "cr"].contains(&prefix) {
        return None;
    }
    if prefix.ends_with('r') {
        let hashes = text[mark..].bytes().take_while(|byte| *byte == b'#').count();
        let start = mark + hashes + 1;
        text[mark + hashes..].starts_with('"').then_some(())?;
        let close = format!("\"{}", "#".repeat(hashes));
        let length = text[start..].find(&close).unwrap_or(text.len() - start);
        return Some((start, length, (start + length + close.len()).min(text.len())));
    }
    text[mark..].starts_with('"').then_some(())?;
    let start = mark + 1;
    let mut is_escaped = false;
    let length = text[start..].bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    let length = length.unwrap_or(text.len() - start);
    Some((start, length, (start + length + 1).min(text.len())))
}

/// If a character literal starts here, where it ends; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let mut letters = text.strip_prefix('\'')?.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        letters.next()?;
        return letters.find(|(_, letter)| *letter == '\'').map(|(offset, _)| offset + 2);
    }
    let (offset, second) = letters.next()?;
    (second == '\'').then_some(offset + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Vec<&str> {
        Source::new(text).strings.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn strings_of_every_form_are_found() {
        assert_eq!(strings(r#"f("a", b"b", "c\"d", "")"#), ["a", "b", "c\\\"d", ""]);
        assert_eq!(strings("r\"a\\\" r#\"b\"c\"# br##\"d\"#e\"##"), ["a\\", "b\"c", "d\"#e"]);
        assert_eq!(strings("r#type + r\"x\""), ["x"]);
    }

    #[test]
    fn characters_and_lifetimes_are_no_strings() {
        assert_eq!(strings(r#"let a: &'a str = '"'; '\''; '\u{1f}'; "x" 'é'"#), ["x"]);
    }

    #[test]
    fn comments_are_taken_out_of_code() {
        let text = "a // \"no\" string\n/* b /* c */ \"d\" */ e \"// f\"";
        let source = Source::new(text);
        assert_eq!(source.code.len(), text.len());
        assert_eq!(source.code.split_whitespace().collect::<Vec<_>>(), ["a", "e"]);
        assert_eq!(source.strings, [Piece { offset: text.len() - 5, text: "// f" }]);
        assert_eq!(source.comments[0].text, " \"no\" string");
    }

    #[test]
    fn test_module_ends_at_its_brace() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { \"}\" } }\nfn c() {}";
        let ranges = Source::new(text).test_ranges;
        assert_eq!(ranges.len(), 1);
        assert!(text[ranges[0].clone()].contains("fn b") && text[ranges[0].end..].contains("fn c"));
        assert!(!text[ranges[0].clone()].contains("fn c"));
    }
}
