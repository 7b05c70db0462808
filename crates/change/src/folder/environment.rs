//! goose's `-- +goose ENVSUB ON`: variables of the environment in the lines up to `-- +goose ENVSUB OFF`.
//!
//! Source: goose's documentation, "Environment Variable Substitution", and the grammar of `mfridman/interpolate`. Where
//! goose puts nothing for a variable that is not set, that is said: it is mostly a mistake. Not for: other tools.

/// A text with its values, line by line as before, and what is wrong with it, by line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) problems: Vec<(usize, String)>,
}

pub(super) fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Filled {
    let mut filled = Filled::default();
    let mut is_on = false;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        match annotation(line) {
            Some(is_now_on) => is_on = is_now_on,
            None if is_on && !line.trim_start().starts_with("--") => {
                let mut expansion = Expansion { value: &value, problems: Vec::new() };
                let (expanded, _) = expansion.expression(line, false);
                filled.text.push_str(&expanded);
                filled.problems.extend(expansion.problems.into_iter().map(|problem| (at + 1, problem)));
                continue;
            }
            None => {}
        }
        filled.text.push_str(line);
    }
    filled
}

/// Whether the line switches variables on, or off.
fn annotation(line: &str) -> Option<bool> {
    let words: Vec<String> = line.strip_prefix("--")?.split_whitespace().map(str::to_lowercase).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["+goose", "envsub", "on"] => Some(true),
        ["+goose", "envsub", "off"] => Some(false),
        _ => None,
    }
}

struct Expansion<'a, F> {
    value: &'a F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Expansion<'_, F> {
    /// What a text says, up to its end or to the brace that closes it; and what is left behind that.
    fn expression<'t>(&mut self, text: &'t str, is_in_braces: bool) -> (String, &'t str) {
        let mut said = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if is_in_braces && next == '}' {
                return (said, &rest[1..]);
            }
            let literal = [("\\\\", "\\\\"), ("\\$", "$"), ("$(", "$(")];
            if let Some((written, meant)) = literal.into_iter().find(|(written, _)| rest.starts_with(written))
            {
                said.push_str(meant);
                rest = &rest[written.len()..];
            } else if rest.starts_with("$$") {
                self.say("of `$$` goose makes one `$`: write `-- +goose ENVSUB OFF` before it");
                said.push_str("$$");
                rest = &rest[2..];
            } else if next == '$' && rest.trim_end().len() > 1 {
                let (value, behind) = self.variable(&rest[1..]);
                said.push_str(&value);
                rest = behind;
            } else {
                said.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        if is_in_braces {
            self.say("a `${` has no `}` on its line");
        }
        (said, rest)
    }

    /// What stands behind a `$`.
    fn variable<'t>(&mut self, text: &'t str) -> (String, &'t str) {
        let inner = text.strip_prefix('{');
        let from = inner.unwrap_or(text);
        let end = from.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(from.len());
        let (name, rest) = from.split_at(end);
        if !name.starts_with(char::is_alphabetic) {
            self.say("a `$` is followed by no name: write `\\$`, or `-- +goose ENVSUB OFF` before it");
            return ("$".to_owned(), text);
        }
        let value = (self.value)(name);
        if value.as_ref().is_some_and(|value| value.contains('\n')) {
            self.say(&format!(
                "the variable {name} has several lines: lines below would be told by wrong numbers"
            ));
        }
        if inner.is_none() {
            return (value.unwrap_or_else(|| self.unset(name)), rest);
        }
        for (operator, is_empty_unset) in [(":-", true), ("-", false)] {
            if let Some(default) = rest.strip_prefix(operator) {
                // What is wrong with a default that is not needed is nobody's trouble, and goose's neither.
                let known = value.filter(|value| !(is_empty_unset && value.is_empty()));
                let problems = self.problems.len();
                let (default, rest) = self.expression(default, true);
                if known.is_some() {
                    self.problems.truncate(problems);
                }
                return (known.unwrap_or(default), rest);
            }
        }
        if let Some(rest) = rest.strip_prefix('}') {
            return (value.unwrap_or_else(|| self.unset(name)), rest);
        }
        if let Some(message) = rest.strip_prefix('?') {
            let (message, rest) = self.expression(message, true);
            let unset = |this: &mut Self| {
                this.say(&format!("the variable {name} is not set: {message}"));
                name.to_owned()
            };
            return (value.unwrap_or_else(|| unset(self)), rest);
        }
        self.say(&format!(
            "`${{{name}` is not followed by `}}`, `:-`, `-` or `?`: other forms are known to goose alone"
        ));
        (name.to_owned(), rest)
    }

    /// The name stands for what is not known, so that a review can read the statement.
    fn unset(&mut self, name: &str) -> String {
        self.say(&format!(
            "the variable {name} is not set, and goose would put nothing there: set it, or write `${{{name}:-}}`"
        ));
        name.to_owned()
    }

    fn say(&mut self, problem: &str) {
        self.problems.push(problem.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> Filled {
        let value = |name: &str| match name {
            "REGION" => Some("eu".to_owned()),
            "LINES" => Some("a\nb".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        fill(&format!("${{REGION}}\n-- +goose ENVSUB ON\n{line}\n-- +goose envsub  off\n$REGION"), value)
    }

    fn check(line: &str, expected: &str) {
        let text = format!("${{REGION}}\n-- +goose ENVSUB ON\n{expected}\n-- +goose envsub  off\n$REGION");
        assert_eq!(filled(line), Filled { text, problems: Vec::new() }, "{line}");
    }

    fn check_said(line: &str, says: &str) {
        let problems = filled(line).problems;
        assert!(
            problems.len() == 1 && problems[0].0 == 3 && problems[0].1.contains(says),
            "{line}: {problems:?}"
        );
    }

    #[test]
    fn variables_are_filled_in_between_the_marks() {
        check(
            "create table ${REGION}_a (b text default '$REGION');",
            "create table eu_a (b text default 'eu');",
        );
        check("'${NONE:-de}' '${EMPTY:-de}' '${EMPTY-de}' '${NONE-de}' '${EMPTY}'", "'de' 'de' '' 'de' ''");
        check("'${NONE:-${OTHER:-x}}' '${REGION:-${OTHER}}' '${REGION?why}'", "'x' 'eu' 'eu'");
        check(r"\$REGION $(a) \\ 5$", r"$REGION $(a) \\ 5$");
        check("-- $NONE is a comment", "-- $NONE is a comment");
    }

    #[test]
    fn what_has_no_value_is_said_with_its_line() {
        check_said("select '$NONE';", "NONE is not set, and goose would put nothing there");
        check_said("select '${NONE?give it}';", "NONE is not set: give it");
        check_said("as $$", "of `$$` goose makes one");
        check_said("select $1;", "a `$` is followed by no name");
        check_said("select ${REGION;", "`${REGION` is not followed by");
        check_said("select '${NONE:-a;", "has no `}`");
        check_said("select '$LINES';", "LINES has several lines");
    }
}
