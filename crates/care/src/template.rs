//! Statements that are composed: a template from a `.sql` file, with names and conditions put in.
//!
//! Not for: values, which statements take as parameters, and for quoting (see `posthaste_base::quote`).

/// The statement without the comments at its top, with each `{name}` replaced. What is put in is not read again.
///
/// # Panics
/// When the template asks for what is not given: that is a mistake in this crate.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with("--");
    let mut rest = template;
    while let Some(line) = rest.lines().next().filter(is_comment) {
        rest = rest[line.len()..].trim_start_matches(['\r', '\n']);
    }
    let mut filled = String::with_capacity(rest.len());
    while let Some(start) = rest.find('{') {
        let end = rest[start..].find('}').map_or(rest.len(), |end| start + end);
        let name = &rest[start + 1..end];
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(&rest[..start]);
        match value {
            Some((_, value)) => filled.push_str(value),
            None => panic!("the template asks for `{name}`"),
        }
        rest = &rest[(end + 1).min(rest.len())..];
    }
    filled.push_str(rest.trim_end());
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_read_again() {
        let template = "-- purpose: x.\n-- params: `{table}`.\nselect {a}\nfrom {table}\n";
        let filled = fill(template, &[("a", "'{table}'"), ("table", "\"{a}\"")]);
        assert_eq!(filled, "select '{table}'\nfrom \"{a}\"");
    }
}
