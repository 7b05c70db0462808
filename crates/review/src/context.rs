//! What a rule looks at: one statement, what it does, what was there before it, and what shares its file.
//!
//! Not for: deciding; the rules do (see `rules`).

use posthaste_base::catalog::{Column, ConstraintKind, Name, Relation, Server};
use posthaste_report::{
    Confidence, Evidence, Finding, Location, Lock, LockMode, Locked, Object, Remedy, Severity,
};

use crate::config::{Options, Thresholds};
use crate::facts::{Facts, Part};
use crate::queries::LoggedQuery;
use crate::rollback::Rollback;
use crate::script::SyntaxError;
use crate::severity::{self, Hold, Verdict, Volume, Work};
pub(crate) use crate::state::State;
use crate::statement::{
    Action, Alter, AlterClause, Expression, Identifier, Located, ObjectName, Span, Statement,
};
use crate::transaction::{Tool, Transaction, Transactions, Wrapping};

/// A statement with all that its rules may ask.
pub(crate) struct Context<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub located: &'a Located,
    /// The number of the statement of the file that this one is, or is in; from 0.
    pub index: usize,
    /// All statements of the file.
    pub all: &'a [Located],
    pub facts: &'a Facts,
    pub state: &'a State,
    pub transaction: Option<&'a Transaction>,
    /// Whether it is in the body of a DO, which is a transaction of its own kind.
    pub is_in_body: bool,
    pub tool: Tool,
    pub wrapping: Wrapping,
    pub options: &'a Options,
    pub version: u32,
}

/// A statement that was looked at, for rules over a whole file.
pub(crate) struct Step<'a> {
    pub located: &'a Located,
    /// The number of the statement of the file that it is, or is in; from 0.
    pub index: usize,
    pub facts: Facts,
    pub lock_timeout_ms: Option<u64>,
    pub changes_schema: bool,
    /// Of the tables that it locks: those that this review's files made, and those that are not there.
    pub new: Vec<Name>,
    pub missing: Vec<Name>,
}

/// A file when all of its statements are known.
pub(crate) struct FileContext<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub steps: &'a [Step<'a>],
    pub all: &'a [Located],
    pub errors: &'a [SyntaxError],
    pub transactions: &'a Transactions,
    /// As it is after the file.
    pub end: &'a State,
    pub rollback: Option<&'a Rollback>,
    /// Whether other files of the review have a way back.
    pub keeps_rollbacks: bool,
    pub queries: &'a [LoggedQuery],
    /// The worst that was found in its statements.
    pub worst: Option<Severity>,
    pub options: &'a Options,
}

impl Step<'_> {
    pub(crate) fn is_new(&self, table: &Name) -> bool {
        self.new.contains(table)
    }

    pub(crate) fn is_there(&self, table: &Name) -> bool {
        !self.missing.contains(table)
    }
}

impl<'a> FileContext<'a> {
    pub(crate) fn server(&self) -> Option<&'a Server> {
        self.end.has_catalog.then_some(&self.end.catalog.server)
    }

    /// What the server itself is set to.
    pub(crate) fn server_lock_timeout_ms(&self) -> Option<u64> {
        milliseconds(self.server()?.settings.get("lock_timeout")?)
    }

    pub(crate) fn finding(
        &self,
        code: &str,
        step: &Step<'_>,
        severity: Severity,
        message: impl Into<String>,
    ) -> Finding {
        let mut finding = Finding::new(code, severity, message);
        finding.location = Some(Location {
            file: self.file.to_owned(),
            line: step.located.line,
            column: step.located.column,
            statement: self.all[step.index].number,
        });
        finding
    }

    /// A finding about a statement by its number from 0, or about the file.
    pub(crate) fn finding_for(
        &self,
        code: &str,
        statement: Option<usize>,
        severity: Severity,
        message: impl Into<String>,
    ) -> Finding {
        let mut finding = Finding::new(code, severity, message);
        let located = statement.and_then(|at| self.all.get(at));
        let (line, column, number) = located.map_or((1, 1, 0), |at| (at.line, at.column, at.number));
        finding.location = Some(Location { file: self.file.to_owned(), line, column, statement: number });
        finding
    }
}

impl<'a> Context<'a> {
    pub(crate) fn statement(&self) -> &'a Statement {
        &self.located.statement
    }

    pub(crate) fn thresholds(&self) -> &'a Thresholds {
        &self.options.thresholds
    }

    pub(crate) fn server(&self) -> Option<&'a Server> {
        self.state.has_catalog.then_some(&self.state.catalog.server)
    }

    pub(crate) fn keyword(&self) -> String {
        self.statement().keyword()
    }

    /// The name with its schema: of what is there, or else of the first schema that is searched.
    pub(crate) fn name(&self, name: &ObjectName) -> Name {
        self.state.name(name)
    }

    pub(crate) fn relation(&self, name: &Name) -> Option<&'a Relation> {
        self.state.relation(name)
    }

    pub(crate) fn column(&self, table: &Name, column: &str) -> Option<&'a Column> {
        self.relation(table)?.columns.iter().find(|known| known.name == column)
    }

    /// The statement's first words, with CONCURRENTLY.
    pub(crate) fn full_keyword(&self) -> String {
        let is_concurrent = match self.statement() {
            Statement::CreateIndex(create) => create.is_concurrent,
            Statement::Drop(drop) => drop.is_concurrent,
            Statement::Reindex(reindex) => reindex.is_concurrent,
            Statement::Refresh(refresh) => refresh.is_concurrent,
            Statement::Alter(alter) => alter
                .clauses
                .iter()
                .any(|c| matches!(c.action, Action::DetachPartition { is_concurrent: true, .. })),
            _ => false,
        };
        if is_concurrent { format!("{} CONCURRENTLY", self.keyword()) } else { self.keyword() }
    }

    /// The name that a CREATE gives.
    pub(crate) fn made_name(&self, name: &ObjectName) -> Name {
        self.state.made_name(name)
    }

    /// Whether this review's files added the column.
    pub(crate) fn was_added(&self, table: &Name, column: &str) -> bool {
        self.state.added.contains(&(table.clone(), column.to_owned()))
    }

    /// Whether a validated constraint proves that the column holds no NULL.
    pub(crate) fn proves_not_null(&self, table: &Name, column: &str) -> bool {
        let wanted = [format!("{column} IS NOT NULL"), format!("\"{column}\" IS NOT NULL")];
        self.relation(table).is_some_and(|relation| {
            relation.constraints.iter().any(|constraint| {
                let is_proof = constraint.is_validated && constraint.is_enforced;
                let says_it = match constraint.kind {
                    // An OR lets NULLs through; an AND does not.
                    ConstraintKind::Check => {
                        !constraint.definition.contains(" OR ")
                            && wanted.iter().any(|text| constraint.definition.contains(text.as_str()))
                    }
                    ConstraintKind::NotNull => constraint.columns.iter().any(|known| known == column),
                    _ => false,
                };
                is_proof && says_it
            })
        })
    }

    /// A function of the expression that is not immutable.
    pub(crate) fn not_immutable(&self, expression: &Expression) -> Option<String> {
        let ours = expression.functions.iter().find(|call| {
            let named = |function: &&posthaste_base::catalog::Function| {
                function.name.name == call.name.name
                    && call.name.schema.as_ref().is_none_or(|schema| *schema == function.name.schema)
            };
            let mut all = self.state.catalog.functions.iter().filter(named).peekable();
            all.peek().is_some() && all.all(|function| function.volatility != "i")
        });
        ours.map(|call| call.name.name.clone()).or_else(|| crate::rules::known_not_immutable(expression))
    }

    /// Whether this review's files made it, so that nobody else uses it.
    pub(crate) fn is_new(&self, table: &Name) -> bool {
        self.state.made.contains(table) || self.relation(table).is_some_and(|relation| relation.is_temporary)
    }

    /// Whether it has no rows that a client could miss: new or empty.
    pub(crate) fn is_harmless(&self, table: &Name) -> bool {
        self.is_new(table) || self.volume(table).is_empty()
    }

    pub(crate) fn volume(&self, table: &Name) -> Volume {
        self.state.volume(table)
    }

    pub(crate) fn alter(&self) -> Option<&'a Alter> {
        match self.statement() {
            Statement::Alter(alter) => Some(alter),
            _ => None,
        }
    }

    /// The clauses of an ALTER, each with what it does by itself.
    pub(crate) fn clauses(&self) -> impl Iterator<Item = Clause<'a>> {
        let alter = self.alter();
        let clauses =
            alter.into_iter().flat_map(|alter| alter.clauses.iter().map(move |clause| (alter, clause)));
        let facts = self.facts;
        let table = alter.map(|alter| self.name(&alter.name)).unwrap_or_default();
        clauses.enumerate().map(move |(at, (alter, clause))| Clause {
            alter,
            clause,
            part: facts.parts.get(at).unwrap_or(&facts.whole),
            table: table.clone(),
        })
    }

    /// Statements of the file after this one, with their numbers.
    pub(crate) fn later(&self) -> impl Iterator<Item = (usize, &'a Located)> {
        self.all.iter().enumerate().skip(self.index + 1)
    }

    pub(crate) fn earlier(&self) -> impl Iterator<Item = (usize, &'a Located)> {
        self.all.iter().enumerate().take(self.index)
    }

    /// How bad it is that a table is worked over under a lock; none when nobody would notice.
    pub(crate) fn judge(&self, table: &Name, mode: LockMode, work: Work) -> Option<Verdict> {
        if self.is_new(table) {
            return None;
        }
        let volume = self.volume(table);
        if volume.is_empty() {
            return None;
        }
        let bytes = volume.bytes(work);
        let cost = bytes.map(|bytes| severity::seconds(bytes, work, self.server(), self.thresholds()));
        let seconds = cost.map(|(seconds, _)| seconds);
        let (severity, mut evidence, depends_on) = self.hold(table, mode, seconds)?;
        if let Some(((seconds, is_measured), bytes)) = cost.zip(bytes) {
            let rows =
                volume.rows().map_or_else(String::new, |rows| format!(", {} rows", severity::count(rows)));
            let rate = if is_measured { "at the rate measured here" } else { "at an assumed rate" };
            let text = format!(
                "{} has {}{rows}: about {} {rate}",
                shown(table),
                severity::size(bytes),
                severity::duration(seconds)
            );
            evidence.insert(0, Evidence { text, age_s: None });
        }
        let confidence = match (cost, depends_on.is_empty()) {
            (None, _) => Confidence::Possible,
            (Some(_), true) => Confidence::Certain,
            (Some(_), false) => Confidence::Likely,
        };
        Some(Verdict { severity, confidence, evidence, depends_on, seconds, bytes, rows: volume.rows() })
    }

    /// What it costs that a lock on a table is held for so long; nothing for a table that nobody uses.
    pub(crate) fn hold(
        &self,
        table: &Name,
        mode: LockMode,
        seconds: Option<f64>,
    ) -> Option<(Severity, Vec<Evidence>, Vec<String>)> {
        if self.is_new(table) {
            return None;
        }
        let hold = Hold {
            relation: self.relation(table).filter(|_| self.state.has_catalog),
            server: self.server(),
            table: shown(table),
            mode,
            seconds,
        };
        hold.severity(self.thresholds())
    }

    /// A finding about this statement, at its first character.
    pub(crate) fn finding(&self, code: &str, severity: Severity, message: impl Into<String>) -> Finding {
        let mut finding = Finding::new(code, severity, message);
        finding.location = Some(self.location(None));
        finding.locks = self.facts.whole.locks.clone();
        finding.effect = self.facts.whole.effect();
        if self.located.is_conditional {
            finding.confidence = Confidence::Likely;
            finding.depends_on.push("whether the branch that holds the statement is taken".to_owned());
        }
        finding
    }

    /// A finding about a part of it.
    pub(crate) fn finding_at(
        &self,
        code: &str,
        span: Span,
        severity: Severity,
        message: impl Into<String>,
    ) -> Finding {
        let mut finding = self.finding(code, severity, message);
        finding.location = Some(self.location(Some(span)));
        finding
    }

    /// A finding with the severity and the reasons of a verdict.
    pub(crate) fn verdict(
        &self,
        code: &str,
        span: Span,
        verdict: Verdict,
        message: impl Into<String>,
    ) -> Finding {
        let mut finding = self.finding_at(code, span, verdict.severity, message);
        finding.confidence = finding.confidence.max(verdict.confidence);
        finding.evidence = verdict.evidence;
        finding.depends_on.extend(verdict.depends_on);
        for (name, value) in [("bytes", verdict.bytes), ("rows", verdict.rows)] {
            if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
                finding.counts.insert(name.to_owned(), value);
            }
        }
        if let Some(seconds) = verdict.seconds {
            finding.counts.insert("milliseconds".to_owned(), whole(seconds * 1000.0));
        }
        finding
    }

    /// Where a part of the statement stands; parts of bodies stand where their statement does. Lines are counted from
    /// the statement on, because a file may be a dump.
    fn location(&self, span: Option<Span>) -> Location {
        let outer = &self.all[self.index];
        let mut location = Location {
            file: self.file.to_owned(),
            line: self.located.line,
            column: self.located.column,
            statement: outer.number,
        };
        if let Some(span) = span.filter(|span| !span.is_empty() && outer.span.contains(*span)) {
            let (line, column) = place(&self.text[outer.span.start..], span.start - outer.span.start);
            location.line = outer.line + line - 1;
            location.column = if line == 1 { outer.column + column - 1 } else { column };
        }
        location
    }
}

/// A clause of an ALTER.
pub(crate) struct Clause<'a> {
    pub alter: &'a Alter,
    clause: &'a AlterClause,
    pub part: &'a Part,
    /// What is altered, with its schema.
    pub table: Name,
}

impl<'a> Clause<'a> {
    pub(crate) fn action(&self) -> &'a Action {
        &self.clause.action
    }

    pub(crate) fn span(&self) -> Span {
        self.clause.span
    }
}

/// For messages: `public` is left out, because everybody does.
pub(crate) fn shown(name: &Name) -> String {
    if name.schema.is_empty() || name.schema == "public" {
        name.name.clone()
    } else {
        format!("{}.{}", name.schema, name.name)
    }
}

pub(crate) fn table_object(name: &Name) -> Object {
    Object {
        kind: "table".to_owned(),
        schema: Some(name.schema.clone()),
        table: Some(name.name.clone()),
        ..Object::default()
    }
}

pub(crate) fn column_object<S: AsRef<str>>(table: &Name, columns: impl IntoIterator<Item = S>) -> Object {
    let columns = columns.into_iter().map(|column| column.as_ref().to_owned()).collect();
    Object { kind: "column".to_owned(), columns, ..table_object(table) }
}

/// Something else that is on a table, or in its schema.
pub(crate) fn part_object(kind: &str, table: &Name, name: &str) -> Object {
    Object { kind: kind.to_owned(), name: Some(name.to_owned()), ..table_object(table) }
}

pub(crate) fn named_object(kind: &str, name: &Name) -> Object {
    Object {
        kind: kind.to_owned(),
        schema: Some(name.schema.clone()),
        name: Some(name.name.clone()),
        ..Object::default()
    }
}

/// `a, b and c`.
pub(crate) fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [many @ .., last] => {
            let many: Vec<&str> = many.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", many.join(", "), last.as_ref())
        }
    }
}

pub(crate) fn names(identifiers: &[Identifier]) -> Vec<String> {
    identifiers.iter().map(|identifier| identifier.name.clone()).collect()
}

pub(crate) fn remedy(text: impl Into<String>) -> Option<Remedy> {
    Some(Remedy { text: text.into(), steps: Vec::new() })
}

pub(crate) fn evidence(text: impl Into<String>) -> Evidence {
    Evidence { text: text.into(), age_s: None }
}

/// Line and column of an offset, from 1, the column in characters.
pub(crate) fn place(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// An estimate as findings count it.
#[expect(clippy::cast_possible_truncation, reason = "an estimate, far below what fits")]
pub(crate) fn whole(seconds: f64) -> i64 {
    seconds.ceil() as i64
}

/// A setting such as `2s`, `500ms` or `1min`; a bare number is milliseconds, and 0 is no limit.
pub(crate) fn milliseconds(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = value[..digits].parse().ok()?;
    let factor = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(number * factor).filter(|ms| *ms > 0)
}

/// The table of a lock, when it is one on a table.
pub(crate) fn locked_table(lock: &Lock) -> Option<Name> {
    match &lock.on {
        Locked::Table(table) => Some(Name::new(&lock.schema, table)),
        Locked::Index(_) => None,
    }
}
