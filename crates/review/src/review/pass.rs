//! One file on its way through a review: its statements in order, its transactions, its way back, its ignores.
//!
//! Not for: what several files share (see `review`).

use std::collections::BTreeSet;

use posthaste_base::catalog::Name;
use posthaste_report::{Finding, Location, Severity};

use super::{File, Item, Review};
use crate::config::{Level, Options};
use crate::context::{Context, FileContext, Step, evidence, milliseconds, place, remedy};
use crate::facts::{self, Facts};
use crate::ignore::{self, Ignore};
use crate::parse;
use crate::queries::LoggedQuery;
use crate::rollback::{self, Rollback};
use crate::rules::{self, Check, Findings, Found};
use crate::script::Script;
use crate::severity::duration;
use crate::state::State;
use crate::statement::{Located, SetScope, Statement, Transaction as Word};
use crate::transaction::{Control, Section, Tool, Transactions, Wrapping, stands_alone};

/// One file on its way through.
pub(super) struct Pass<'a, 's> {
    pub file: &'a File,
    pub state: &'s mut State,
    pub options: &'a Options,
    pub version: u32,
    pub queries: &'a [LoggedQuery],
    pub keeps_rollbacks: bool,
}

/// What a session keeps from statement to statement.
#[derive(Default)]
struct Session {
    lock_timeout_ms: Option<u64>,
    /// Set for the transaction alone.
    local_lock_timeout_ms: Option<u64>,
    /// The first statement of that transaction.
    transaction: Option<usize>,
}

/// What a file says, before it is looked at in its place.
pub(super) struct Parsed<'a> {
    tool: Tool,
    /// The part that goes forward.
    up: Section<'a>,
    down: Option<Section<'a>>,
    script: Script,
}

impl<'a> Parsed<'a> {
    pub(super) fn of(file: &'a File, options: &Options) -> Self {
        let text = &file.text;
        let tool = file.tool.or(options.tool).unwrap_or_else(|| Tool::of_file(&file.path, text));
        let sections = tool.sections(text);
        // A file without the mark that its tool looks for is read whole: saying nothing of it would be worse.
        let up = sections.up.unwrap_or(Section { range: 0..text.len(), options: "" });
        let script = parse_section(text, up.range.clone());
        Self { tool, up, down: sections.down, script }
    }

    /// As if it had run long ago.
    pub(super) fn apply(&self, state: &mut State) {
        self.script.statements.iter().for_each(|located| state.apply(&located.statement));
    }
}

impl Pass<'_, '_> {
    pub(super) fn run(&mut self, parsed: Parsed<'_>, review: &mut Review) {
        let text = &self.file.text;
        let Parsed { tool, up, down, script } = parsed;
        let down = self.down(down.map(|down| down.range));
        let start = down.as_ref().map(|_| self.state.clone());

        let all = &script.statements;
        let wrapping = match self.options.assume_in_transaction {
            Some(true) => Wrapping::Transaction,
            Some(false) => Wrapping::Nothing,
            None => self.file.wrapping.unwrap_or_else(|| {
                let has_outsiders = || all.iter().any(stands_alone);
                tool.wrapping(text, up.options, self.file.settings.as_deref(), has_outsiders)
            }),
        };
        let controls: Vec<Control> = all.iter().map(|located| control(&located.statement)).collect();
        let transactions = Transactions::of(&controls, wrapping);

        let mut found = Findings::default();
        let mut steps = Vec::new();
        let mut session = Session::default();
        for (index, located) in all.iter().enumerate() {
            let transaction = transactions.around(index).map(|transaction| transaction.statements.start);
            if transaction.is_none() || transaction != session.transaction {
                session.local_lock_timeout_ms = None;
                session.transaction = transaction;
            }
            let place = Place { index, all, transactions: &transactions, tool, wrapping, is_in_body: false };
            self.statement(located, &place, &mut session, &mut steps, &mut found);
        }

        let rollback = match (&start, &down) {
            (Some(start), Some((down, line))) => Some(rollback::judge(start, self.state, all, down, *line)),
            _ => None,
        };
        self.file_rules(&script, &transactions, &steps, rollback.as_ref(), &mut found);
        note_longest(&steps, &self.file.path, &mut found, review);
        review.statements += all.len();
        self.finish(&script, found, review);
    }

    /// The way back: beside the file, in its own section, or in comments.
    fn down(&self, section: Option<std::ops::Range<usize>>) -> Option<(String, u32)> {
        if let Some(down) = &self.file.down {
            return Some((down.clone(), 1));
        }
        if let Some(range) = section {
            let (line, _) = place(&self.file.text, range.start);
            return Some((self.file.text[range].to_owned(), line));
        }
        rollback::commented(&self.file.text)
    }

    fn statement<'l>(
        &mut self,
        located: &'l Located,
        place: &Place<'l>,
        session: &mut Session,
        steps: &mut Vec<Step<'l>>,
        found: &mut Findings,
    ) {
        note_settings(&located.statement, session);
        let facts = facts::of(&located.statement, self.state, self.version, &self.options.thresholds);
        let lock_timeout_ms = session.local_lock_timeout_ms.or(session.lock_timeout_ms);
        let mut here = Findings::default();
        let context = Context {
            file: &self.file.path,
            text: &self.file.text,
            located,
            index: place.index,
            all: place.all,
            facts: &facts,
            state: self.state,
            transaction: place.transactions.around(place.index),
            is_in_body: place.is_in_body,
            tool: place.tool,
            wrapping: place.wrapping,
            options: self.options,
            version: self.version,
        };
        for rule in rules::ALL {
            if let Check::Statement(check) = rule.check {
                check(&context, &mut here);
            }
        }
        found.0.append(&mut here.0);
        steps.push(self.step(located, place.index, facts, lock_timeout_ms));
        self.state.apply(&located.statement);
        for inner in inner(&located.statement) {
            let has_body =
                matches!(located.statement, Statement::Do(_) | Statement::Call(_) | Statement::Query(_));
            let is_in_body = place.is_in_body || has_body;
            self.statement(inner, &Place { is_in_body, ..*place }, session, steps, found);
        }
    }

    fn step<'l>(
        &self,
        located: &'l Located,
        index: usize,
        facts: Facts,
        lock_timeout_ms: Option<u64>,
    ) -> Step<'l> {
        let tables = facts.whole.tables();
        let is_new = |name: &&Name| {
            self.state.made.contains(*name)
                || self.state.relation(name).is_some_and(|relation| relation.is_temporary)
        };
        let is_missing = |name: &&Name| self.state.has_catalog && self.state.relation(name).is_none();
        let names = || tables.iter().map(|(name, _)| name);
        Step {
            located,
            index,
            lock_timeout_ms,
            changes_schema: changes_schema(&located.statement),
            new: names().filter(is_new).cloned().collect(),
            missing: names().filter(is_missing).cloned().collect(),
            facts,
        }
    }

    fn file_rules(
        &self,
        script: &Script,
        transactions: &Transactions,
        steps: &[Step<'_>],
        rollback: Option<&Rollback>,
        found: &mut Findings,
    ) {
        let worst = found.0.iter().map(|found| found.finding.severity).min();
        let context = FileContext {
            file: &self.file.path,
            text: &self.file.text,
            steps,
            all: &script.statements,
            errors: &script.errors,
            transactions,
            end: self.state,
            rollback,
            keeps_rollbacks: self.keeps_rollbacks,
            queries: self.queries,
            worst,
            options: self.options,
        };
        for rule in rules::ALL {
            if let Check::File(check) = rule.check {
                check(&context, found);
            }
        }
    }

    /// Levels of the configuration and ignores of the file, and what is wrong with the ignores.
    fn finish(&self, script: &Script, found: Findings, review: &mut Review) {
        let ranges: Vec<_> = script.statements.iter().map(|at| at.span.start..at.span.end).collect();
        let ignores = ignore::read(&self.file.text, &ranges);
        let mut used = vec![BTreeSet::new(); ignores.len()];
        let mut kept = Vec::new();
        for mut found in found.0 {
            match self.options.levels.get(&found.finding.code) {
                Some(Level::Off) => continue,
                Some(Level::Always(severity)) => found.finding.severity = *severity,
                None => {}
            }
            let statement =
                found.finding.location.as_ref().and_then(|at| (at.statement as usize).checked_sub(1));
            let covering: Vec<usize> =
                (0..ignores.len()).filter(|at| ignores[*at].covers(&found.finding.code, statement)).collect();
            if covering.is_empty() {
                kept.push(found);
                continue;
            }
            review.ignored += 1;
            for at in covering {
                used[at].insert(found.finding.code.clone());
            }
        }
        for (ignore, used) in ignores.iter().zip(&used) {
            for finding in self.about_ignore(ignore, used) {
                let level = self.options.levels.get(&finding.code);
                if level != Some(&Level::Off) {
                    kept.push(Found { finding, probe: None });
                }
            }
        }
        for found in kept {
            let number = found.finding.location.as_ref().map_or(0, |location| location.statement);
            let located = script.statements.iter().find(|located| located.number == number);
            let statement = located.map(|located| located.text.clone()).unwrap_or_default();
            review.items.push(Item { found, statement });
        }
    }

    fn about_ignore(&self, ignore: &Ignore, used: &BTreeSet<String>) -> Vec<Finding> {
        let (line, column) = place(&self.file.text, ignore.offset);
        let say = |code: &str, severity: Severity, message: String, instead: &str| {
            let mut finding = Finding::new(code, severity, message);
            finding.location = Some(Location { file: self.file.path.clone(), line, column, statement: 0 });
            finding.remedy = remedy(instead);
            finding
        };
        let form = "write `-- posthaste: ignore CODE because REASON`";
        if let Some(problem) = &ignore.malformed {
            return vec![say(
                "ignore-without-reason",
                Severity::Medium,
                format!("the ignore does not count: {problem}"),
                form,
            )];
        }
        let mut findings = Vec::new();
        if ignore.reason.is_none() {
            let message = format!("{} is not ignored: the ignore has no reason", ignore.codes.join(", "));
            findings.push(say("ignore-without-reason", Severity::Medium, message, form));
        }
        for code in &ignore.unknown {
            let message = crate::config::unknown_rule(code);
            findings.push(say(
                "ignore-unknown-rule",
                Severity::Medium,
                message,
                "correct the code, or remove the ignore",
            ));
        }
        let unused =
            ignore.codes.iter().filter(|code| !ignore.unknown.contains(code) && !used.contains(*code));
        for code in unused.filter(|_| ignore.is_sound()) {
            let message = format!("the ignore of `{code}` ignores nothing");
            findings.push(say(
                "ignore-unused",
                Severity::Low,
                message,
                "remove it, so that it hides nothing later",
            ));
        }
        findings
    }
}

/// Where a statement is, for all that are in it as well.
#[derive(Clone, Copy)]
struct Place<'l> {
    index: usize,
    all: &'l [Located],
    transactions: &'l Transactions,
    tool: Tool,
    wrapping: Wrapping,
    is_in_body: bool,
}

/// Parses a part of a file, with places in the whole file.
fn parse_section(text: &str, range: std::ops::Range<usize>) -> Script {
    if range == (0..text.len()) {
        return parse(text);
    }
    // Blanks in place of what is left out keep every offset, line and column.
    let blank =
        |part: &str| part.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect::<String>();
    let masked = blank(&text[..range.start]) + &text[range.clone()] + &blank(&text[range.end..]);
    parse(&masked)
}

/// Statements that run with this one.
fn inner(statement: &Statement) -> &[Located] {
    match statement {
        Statement::CreateSchema(create) => &create.elements,
        Statement::Explain(explain) if explain.is_analyze => std::slice::from_ref(&*explain.statement),
        _ => statement.runs(),
    }
}

fn control(statement: &Statement) -> Control {
    match statement {
        Statement::Transaction(Word::Begin { .. }) => Control::Begin,
        Statement::Transaction(Word::Commit { .. } | Word::Prepare { .. }) => Control::Commit,
        Statement::Transaction(Word::Rollback { .. }) => Control::Rollback,
        _ => Control::Other,
    }
}

fn note_settings(statement: &Statement, session: &mut Session) {
    match statement {
        Statement::Set(set) if set.name == "lock_timeout" => {
            let value = set.values.first().and_then(|value| milliseconds(value));
            match set.scope {
                SetScope::Local => session.local_lock_timeout_ms = value,
                SetScope::Session => session.lock_timeout_ms = value,
            }
        }
        Statement::Reset(reset) if reset.name.as_deref().is_none_or(|name| name == "lock_timeout") => {
            session.lock_timeout_ms = None;
        }
        _ => {}
    }
}

fn changes_schema(statement: &Statement) -> bool {
    let keyword = statement.keyword();
    ["CREATE", "ALTER", "DROP"].iter().any(|verb| keyword.starts_with(verb))
}

/// Says at the findings of the statement that takes longest that it does, and keeps it for the summary.
fn note_longest(steps: &[Step<'_>], path: &str, found: &mut Findings, review: &mut Review) {
    let known = |step: &&Step<'_>| step.facts.seconds.is_some_and(|seconds| seconds >= 1.0);
    let total: f64 = steps.iter().filter_map(|step| step.facts.seconds).sum();
    review.seconds += total;
    let longest = steps.iter().filter(known).max_by(|a, b| {
        let seconds = |step: &Step<'_>| step.facts.seconds.unwrap_or(0.0);
        seconds(a).total_cmp(&seconds(b))
    });
    let Some(step) = longest else { return };
    let seconds = step.facts.seconds.unwrap_or(0.0);
    let at = Location {
        file: path.to_owned(),
        line: step.located.line,
        column: step.located.column,
        statement: u32::try_from(step.index + 1).unwrap_or(u32::MAX),
    };
    if review.longest.as_ref().is_none_or(|(most, _)| seconds > *most) {
        review.longest = Some((seconds, at.clone()));
    }
    let share = seconds / total.max(f64::MIN_POSITIVE) * 100.0;
    let text = format!(
        "the longest statement of the file: about {} of {} ({share:.0} %)",
        duration(seconds),
        duration(total)
    );
    let is_it = |found: &&mut Found| {
        let place = found.finding.location.as_ref();
        place.is_some_and(|place| place.statement == at.statement)
            && found.finding.counts.contains_key("milliseconds")
    };
    if total > 1.0 {
        for found in found.0.iter_mut().filter(is_it) {
            found.finding.evidence.push(evidence(text.clone()));
        }
    }
}
