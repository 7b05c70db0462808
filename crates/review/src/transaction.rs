//! Which statements of a file share a transaction: by BEGIN and COMMIT, and by the way of the tool that runs it.
//!
//! A lock is held until its transaction ends, so that a brief statement with a long one after it is not brief.
//! Not for: how long that is (see `severity`), and for finding the files of a folder.

mod tool;

use std::ops::Range;

pub use tool::{Section, Sections, Tool, Wrapping, stands_alone};

/// What a statement means to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Begin,
    Commit,
    Rollback,
    Other,
}

/// Statements that share a transaction, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub statements: Range<usize>,
    /// The file begins it itself.
    pub is_explicit: bool,
    /// It ends in ROLLBACK, so that it changes nothing (and locks all the same).
    pub is_rolled_back: bool,
}

/// The transactions of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    all: Vec<Transaction>,
}

impl Transactions {
    /// Of statements in order, under what the tool does.
    pub fn of(controls: &[Control], wrapping: Wrapping) -> Self {
        let is_one_query = wrapping == Wrapping::OneQuery && controls.len() > 1;
        let mut all = Vec::new();
        let mut open = match wrapping {
            Wrapping::Transaction if !controls.is_empty() => Some((0, false)),
            _ if is_one_query => Some((0, false)),
            _ => None,
        };
        for (at, control) in controls.iter().enumerate() {
            match control {
                // Inside of a transaction it only warns; in an implicit one it makes the whole an explicit one.
                Control::Begin => open = Some((open.map_or(at, |(first, _)| first), true)),
                Control::Commit | Control::Rollback => {
                    if let Some((first, is_explicit)) = open.take() {
                        let is_rolled_back = *control == Control::Rollback;
                        all.push(Transaction { statements: first..at + 1, is_explicit, is_rolled_back });
                    }
                    if is_one_query && at + 1 < controls.len() {
                        open = Some((at + 1, false));
                    }
                }
                Control::Other => {}
            }
        }
        if let Some((first, is_explicit)) = open {
            all.push(Transaction { statements: first..controls.len(), is_explicit, is_rolled_back: false });
        }
        Self { all }
    }

    /// The transaction that a statement is in; none when it is its own.
    pub fn around(&self, statement: usize) -> Option<&Transaction> {
        self.all.iter().find(|transaction| transaction.statements.contains(&statement))
    }

    pub fn all(&self) -> &[Transaction] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `b` BEGIN, `c` COMMIT, `r` ROLLBACK, `.` anything else; expected is a letter for each statement's transaction.
    fn check(controls: &str, wrapping: Wrapping, expected: &str) {
        let controls: Vec<Control> = controls
            .chars()
            .map(|c| match c {
                'b' => Control::Begin,
                'c' => Control::Commit,
                'r' => Control::Rollback,
                _ => Control::Other,
            })
            .collect();
        let transactions = Transactions::of(&controls, wrapping);
        let letter = |at| {
            let found = transactions.all.iter().position(|t| t.statements.contains(&at));
            found.map_or('-', |index| char::from(b'A' + u8::try_from(index).unwrap()))
        };
        assert_eq!((0..controls.len()).map(letter).collect::<String>(), expected);
    }

    #[test]
    fn begin_and_commit_make_transactions() {
        check("...", Wrapping::Nothing, "---");
        check(".b..c.b.r", Wrapping::Nothing, "-AAAA-BBB");
        check(".b..", Wrapping::Nothing, "-AAA");
        check("c.", Wrapping::Nothing, "--");
    }

    #[test]
    fn wrapping_makes_one_transaction_until_the_file_commits_itself() {
        check("...", Wrapping::Transaction, "AAA");
        check(".b.c.", Wrapping::Transaction, "AAAA-");
    }

    #[test]
    fn one_query_is_a_transaction_when_it_has_more_than_one_statement() {
        check(".", Wrapping::OneQuery, "-");
        check("..", Wrapping::OneQuery, "AA");
        check("b.c.", Wrapping::OneQuery, "AAAB");
    }
}
