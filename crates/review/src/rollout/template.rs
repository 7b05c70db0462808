//! The statements that a rollout is made of: files of `sql/rollout`, with names filled in.
//!
//! Not for: which of them are needed (see the routes).

/// The text of a file of `sql/rollout`, without its header.
macro_rules! template {
    ($name:literal) => {
        $crate::rollout::template::Template::new(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/sql/rollout/",
            $name,
            ".sql"
        )))
    };
}
pub(crate) use template;

#[derive(Clone, Copy)]
pub(crate) struct Template(&'static str);

impl Template {
    pub(crate) fn new(file: &'static str) -> Self {
        let mut rest = file;
        while let Some(after) = rest.strip_prefix("--").and_then(|line| line.split_once('\n')) {
            rest = after.1;
        }
        Self(rest.trim_end())
    }

    /// Fills each `{name}` in. What is filled in is not looked at again, so that it may hold braces.
    pub(crate) fn with(self, values: &[(&str, &str)]) -> String {
        let mut text = String::with_capacity(self.0.len() * 2);
        let mut rest = self.0;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, tail)) = after.split_once('}') else { break };
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => text.push_str(value),
                // `{batch}` is for the runner.
                None => text.extend(["{", name, "}"]),
            }
            rest = tail;
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_once_and_what_is_for_the_runner_stays() {
        let filled =
            Template::new("-- purpose: x\n-- params: y\nupdate {table} set a = {value} where {batch}\n")
                .with(&[("table", "t"), ("value", "'{table}'")]);
        assert_eq!(filled, "update t set a = '{table}' where {batch}");
    }
}
