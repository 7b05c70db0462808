//! Names within the text of an expression that PostgreSQL wrote.
//!
//! Not for: text of users, which is never changed; and for parsing.

use posthaste_base::quote::identifier;

/// The expression with one column called otherwise. Strings are left alone, and so is what is called like the
/// column and followed by `(`.
pub(super) fn renamed(expression: &str, from: &str, to: &str) -> String {
    let (old, new) = (identifier(from), identifier(to));
    let mut text = String::with_capacity(expression.len() + 16);
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => quoted_length(rest, '\''),
            '"' => quoted_length(rest, '"'),
            _ if is_start(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            _ if first.is_ascii_digit() => rest.find(|c| !is_part(c) && c != '.').unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (word, tail) = rest.split_at(length);
        let is_name = word == old && !tail.trim_start().starts_with('(');
        text.push_str(if is_name { &new } else { word });
        rest = tail;
    }
    text
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// With both quotes; a doubled quote does not end it.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != quote {
            continue;
        }
        match characters.peek() {
            Some((_, next)) if *next == quote => {
                characters.next();
            }
            _ => return at + quote.len_utf8(),
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_column_is_renamed() {
        for (expression, expected) in [
            ("CHECK ((price > 0))", "CHECK ((price_new > 0))"),
            ("CHECK ((price <> 'price''s'::text))", "CHECK ((price_new <> 'price''s'::text))"),
            ("CHECK ((price(price_a) > \"price\"))", "CHECK ((price(price_a) > \"price\"))"),
            ("CHECK ((1e5 > price))", "CHECK ((1e5 > price_new))"),
        ] {
            assert_eq!(renamed(expression, "price", "price_new"), expected);
        }
        assert_eq!(renamed("(\"Price\" > 0)", "Price", "Cost"), "(\"Cost\" > 0)");
    }
}
