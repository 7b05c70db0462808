//! Takes SQL apart into code and the rest, as far as the checks need. Not for: parsing.

/// The text with the same length, in which comments, strings, dollar-quoted bodies and quoted names are blanks.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = match not_code(&text[..at], rest) {
            Some(length) => {
                code.extend(rest[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
                length
            }
            None => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                code.push_str(&rest[..length]);
                length
            }
        };
        at += length;
    }
    code
}

/// The length of what starts here and is not code, if something is.
fn not_code(before: &str, rest: &str) -> Option<usize> {
    let to_end_of = |mark: &str, from: usize| {
        rest.get(from..)
            .and_then(|tail| tail.find(mark))
            .map_or(rest.len(), |found| from + found + mark.len())
    };
    if rest.starts_with("--") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(to_end_of("*/", 2));
    }
    // A doubled quote ends one literal and starts the next, which blanks the same letters.
    if rest.starts_with('\'') {
        return Some(to_end_of("'", 1));
    }
    if rest.starts_with('"') {
        return Some(to_end_of("\"", 1));
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    if rest.starts_with('$') && !before.ends_with(is_name) {
        let tag_length = rest[1..].find('$')?;
        let tag = &rest[..tag_length + 2];
        let name = &tag[1..=tag_length];
        let is_tag = name.chars().all(is_name) && !name.starts_with(|c: char| c.is_ascii_digit());
        return is_tag.then(|| to_end_of(tag, tag.len()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        code.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_quoted_is_blanked() {
        assert_eq!(words("a 'B;''C' \"D\" -- E;\n/* F */ g"), ["a", "g"]);
        assert_eq!(words("do $$ begin X; end $$; b $f$ $$ Y $f$ c"), ["do", ";", "b", "c"]);
    }

    #[test]
    fn parameters_are_code() {
        assert_eq!(words("a = $1 and b = $2"), ["a", "=", "$1", "and", "b", "=", "$2"]);
    }
}
