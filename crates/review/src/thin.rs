//! Dumps repeat themselves: of a long run of INSERTs that differ in their values alone, the first ones are kept.
//!
//! So what a review costs does not grow with the rows of a dump. Lines stay where they are. Not for: COPY with its rows,
//! which is one statement however long it is.

/// So many of a run are kept: what is wrong with all of them is wrong with these.
const KEPT: usize = 1_000;

/// A run of which some are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thinned {
    /// Of the first that is left out.
    pub line: u32,
    pub count: usize,
    /// What all of them begin with.
    pub head: String,
}

/// The text with the rest of long runs as empty lines, and what was left out. A short text comes back as it is.
pub fn thin(text: String) -> (String, Vec<Thinned>) {
    let mut runs: Vec<Thinned> = Vec::new();
    let mut kept = String::new();
    let (mut head, mut length) = ("", 0);
    // Where the text begins that is not in `kept` yet, as long as nothing was left out.
    let mut begin = 0;
    let mut offset = 0;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let here = offset;
        offset += line.len();
        match head_of(line) {
            Some(found) if found == head => length += 1,
            Some(found) => (head, length) = (found, 1),
            None => (head, length) = ("", 0),
        }
        if length <= KEPT {
            continue;
        }
        kept.push_str(&text[begin..here]);
        kept.push('\n');
        begin = offset;
        if length == KEPT + 1 {
            let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
            runs.push(Thinned { line, count: 0, head: head.trim().to_owned() });
        }
        if let Some(run) = runs.last_mut() {
            run.count += 1;
        }
    }
    if runs.is_empty() {
        return (text, runs);
    }
    kept.push_str(&text[begin..]);
    (kept, runs)
}

/// What stands before the values, of a line that is one whole INSERT.
fn head_of(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    for verb in ["insert", "into"] {
        words.next().filter(|word| word.eq_ignore_ascii_case(verb))?;
    }
    let is_whole =
        line.trim_end().ends_with(");") && line.bytes().filter(|byte| *byte == b'\'').count() % 2 == 0;
    let end = line.find(" VALUES (").or_else(|| line.find(" values ("))?;
    is_whole.then_some(&line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_thinned_and_lines_stay() {
        let mut text = "create table a (b int);\n".to_owned();
        for row in 0..KEPT + 5 {
            text.push_str(&format!("INSERT INTO a VALUES ({row}, 'it''s; (');\n"));
        }
        text.push_str("drop table a;\n");
        let (kept, runs) = thin(text.clone());
        assert_eq!(runs, [Thinned { line: 1_002, count: 5, head: "INSERT INTO a".to_owned() }]);
        assert_eq!(kept.lines().count(), text.lines().count());
        assert_eq!(kept.lines().filter(|line| !line.is_empty()).count(), KEPT + 2);
        assert_eq!(kept.lines().last(), Some("drop table a;"));
    }

    #[test]
    fn what_is_no_run_is_left_alone() {
        let check = |line: &dyn Fn(usize) -> String| {
            let text: String = (0..KEPT + 5).map(|row| format!("{}\n", line(row))).collect();
            assert_eq!(thin(text.clone()), (text, Vec::new()));
        };
        check(&|row| format!("insert into a{} values (1);", row % 2));
        check(&|row| format!("insert into a select {row};"));
        check(&|row| format!("insert into a values ({row}, 'open);"));
        check(&|row| format!("update a set b = {row};"));
    }
}
