//! Splits the one text that the server gives for a list of expressions.
//!
//! Not for: what is in them.

/// The parts between commas that stand outside of brackets and quotes.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0u32;
    let mut quote = None;
    for c in text.chars() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::split;

    fn check(text: &str, parts: &[&str]) {
        assert_eq!(split(text), parts, "{text}");
    }

    #[test]
    fn only_commas_between_expressions_split() {
        check("lower(a)", &["lower(a)"]);
        check("lower(a), (b + 1)", &["lower(a)", "(b + 1)"]);
        check("f(a, b), ARRAY[a, b], 'x, y'::text", &["f(a, b)", "ARRAY[a, b]", "'x, y'::text"]);
        check("\"a,\"\"b\", 'it''s, (', c", &["\"a,\"\"b\"", "'it''s, ('", "c"]);
    }
}
