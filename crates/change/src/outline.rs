//! A file's statements as a runner takes them: which stand together in a transaction, and which must stand alone.
//!
//! Not for: what they lock and cost (see `posthaste_review`).

use posthaste_base::{Code, Error, Violation};
use posthaste_review::statement::{Located, Statement};
use posthaste_review::transaction::stands_alone;

use crate::folder::{Source, Wrapping};

/// Statements that are committed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub statements: Vec<String>,
    /// The one statement must not be in a transaction.
    pub is_alone: bool,
    /// The index that it builds concurrently, as written: schema, and name.
    pub index: Option<(Option<String>, String)>,
}

/// Whether some statement must not be in a transaction.
pub(crate) fn has_outsider(text: &str) -> bool {
    posthaste_review::parse(text).statements.iter().any(stands_alone)
}

/// Whether some statement must not be in a transaction, and another may.
pub(crate) fn has_both(text: &str) -> bool {
    let statements = posthaste_review::parse(text).statements;
    let outsiders = statements.iter().filter(|located| stands_alone(located)).count();
    outsiders > 0 && outsiders < statements.len()
}

/// The parts of a source in order, under what its tool puts around them and the file's own BEGIN and COMMIT.
pub fn parts(source: &Source) -> Result<Vec<Part>, Error> {
    let script = posthaste_review::parse(&source.text);
    let mut problems = Vec::new();
    let place = |line: u32| format!("{}:{}", source.file, source.first_line + line.max(1) - 1);
    for error in &script.errors {
        let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        problems.push(Violation { pointer: place(error.line), message: format!("{}{hint}", error.message) });
    }
    for located in &script.statements {
        if let Some(message) = cannot_run(located) {
            problems.push(Violation { pointer: place(located.line), message });
        }
    }
    let mut statements = script.statements.as_slice();
    let by_statements = || Wrapping::of_outsiders(statements.iter().any(stands_alone));
    let wrapping = source.wrapping.unwrap_or_else(by_statements);
    if wrapping == Wrapping::Transaction {
        // A file that is a transaction may also say so itself.
        if let [first, inner @ .., last] = statements
            && word(first) == "begin"
            && matches!(word(last).as_str(), "commit" | "end")
        {
            statements = inner;
        }
    }
    let parts = Builder::run(statements, wrapping, |located, message| {
        problems.push(Violation { pointer: place(located.line), message });
    });
    match problems.is_empty() {
        true => Ok(parts),
        false => Err(Error::new(Code::InvalidFile, "it cannot be run")
            .field(source.file.clone())
            .violations(problems)),
    }
}

struct Builder {
    parts: Vec<Part>,
    /// Inside of a transaction; with the statements so far.
    open: Option<Vec<String>>,
    wrapping: Wrapping,
}

impl Builder {
    fn run(
        statements: &[Located],
        wrapping: Wrapping,
        mut refuse: impl FnMut(&Located, String),
    ) -> Vec<Part> {
        let count = statements.iter().filter(|located| !is_control(located)).count();
        let is_wrapped = match wrapping {
            Wrapping::Transaction => true,
            Wrapping::OneQuery => count > 1,
            Wrapping::Nothing => false,
        };
        let mut builder = Self { parts: Vec::new(), open: is_wrapped.then(Vec::new), wrapping };
        for located in statements {
            match word(located).as_str() {
                "begin" | "start" if is_control(located) && wrapping != Wrapping::Transaction => {
                    builder.open.get_or_insert_default();
                }
                "commit" | "end" if is_control(located) && wrapping != Wrapping::Transaction => {
                    builder.close();
                    builder.open = is_wrapped.then(Vec::new);
                }
                other if is_control(located) => {
                    let why = match wrapping {
                        Wrapping::Transaction => "the file is a transaction already",
                        _ => "only BEGIN and COMMIT can be run",
                    };
                    refuse(located, format!("{} cannot be run: {why}", other.to_uppercase()));
                }
                _ => builder.add(located, &mut refuse),
            }
        }
        builder.close();
        builder.parts
    }

    fn add(&mut self, located: &Located, refuse: &mut impl FnMut(&Located, String)) {
        let is_alone = stands_alone(located);
        match &mut self.open {
            Some(_) if is_alone => {
                let way = match self.wrapping {
                    Wrapping::OneQuery => "a file of its own",
                    _ => "the way in which its tool leaves the transaction out",
                };
                let is_concurrent = located.text.to_lowercase().contains("concurrently");
                let keyword = located.statement.keyword();
                let keyword = format!("{keyword}{}", if is_concurrent { " CONCURRENTLY" } else { "" });
                refuse(located, format!("{keyword} must not be in a transaction: it needs {way}"));
            }
            Some(open) => open.push(located.text.clone()),
            None => self.parts.push(Part {
                statements: vec![located.text.clone()],
                is_alone,
                index: index(located),
            }),
        }
    }

    fn close(&mut self) {
        let Some(statements) = self.open.take().filter(|open| !open.is_empty()) else { return };
        self.parts.push(Part { statements, is_alone: false, index: None });
    }
}

fn is_control(located: &Located) -> bool {
    matches!(located.statement, Statement::Transaction(_))
}

/// What no server takes as a statement.
fn cannot_run(located: &Located) -> Option<String> {
    match &located.statement {
        Statement::Meta(meta) => Some(format!("`\\{}` is for psql", meta.name)),
        Statement::Copy(copy) if copy.rows.is_some() => {
            Some("COPY with its rows in the file is for psql".into())
        }
        _ => None,
    }
}

fn index(located: &Located) -> Option<(Option<String>, String)> {
    match &located.statement {
        Statement::CreateIndex(create) if create.is_concurrent => {
            Some((create.table.schema.clone(), create.name.as_ref()?.name.clone()))
        }
        _ => None,
    }
}

/// The first word in lower case.
fn word(located: &Located) -> String {
    let letters = located.text.chars().take_while(|c| c.is_alphabetic());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str, wrapping: Wrapping) -> Source {
        Source { file: "a.sql".into(), text: text.into(), first_line: 1, wrapping: Some(wrapping), raw: None }
    }

    fn check(text: &str, wrapping: Wrapping, expected: &[&str]) {
        let parts = parts(&source(text, wrapping)).expect(text);
        let shown: Vec<String> = parts
            .iter()
            .map(|part| {
                format!("{}{}", if part.is_alone { "alone " } else { "" }, part.statements.join(" + "))
            })
            .collect();
        assert_eq!(shown, expected, "{text}");
    }

    fn check_refused(text: &str, wrapping: Wrapping, says: &str) {
        let error = parts(&source(text, wrapping)).expect_err(text);
        assert!(error.to_string().contains(says), "{text}: {error}");
    }

    const INDEX: &str = "create index concurrently i on t (a)";

    #[test]
    fn statements_stand_together_as_their_tool_has_them() {
        check("select 1; select 2", Wrapping::Transaction, &["select 1 + select 2"]);
        check("select 1; select 2", Wrapping::OneQuery, &["select 1 + select 2"]);
        check("select 1; select 2", Wrapping::Nothing, &["select 1", "select 2"]);
        check(INDEX, Wrapping::OneQuery, &[&format!("alone {INDEX}")]);
        check(&format!("{INDEX}; select 1"), Wrapping::Nothing, &[&format!("alone {INDEX}"), "select 1"]);
        check("vacuum t", Wrapping::Nothing, &["alone vacuum t"]);
    }

    #[test]
    fn a_file_has_its_own_transactions() {
        check("begin; select 1; commit;", Wrapping::Transaction, &["select 1"]);
        check(
            "begin; select 1; select 2; commit; select 3",
            Wrapping::Nothing,
            &["select 1 + select 2", "select 3"],
        );
        check(
            "select 0; begin; select 1; commit; select 3",
            Wrapping::OneQuery,
            &["select 0 + select 1", "select 3"],
        );
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_place() {
        check_refused(
            &format!("select 1;\n{INDEX};"),
            Wrapping::Transaction,
            "a.sql:2: CREATE INDEX CONCURRENTLY must not be",
        );
        check_refused(&format!("select 1;\n{INDEX};"), Wrapping::OneQuery, "a file of its own");
        check_refused("select 1;\nrollback;", Wrapping::Nothing, "a.sql:2: ROLLBACK cannot be run");
        check_refused("select 1; commit; select 2", Wrapping::Transaction, "is a transaction already");
        check_refused("\\connect x", Wrapping::Nothing, "is for psql");
        check_refused("copy t from stdin;\n1\n\\.\n", Wrapping::Nothing, "COPY with its rows");
        check_refused("create tabel t ()", Wrapping::Nothing, "a.sql:1");
    }
}
