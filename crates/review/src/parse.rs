//! From the text of a file to a `Script`: its statements with their places, and its errors with what to do.

use std::thread;

use crate::hint;
use crate::link::link;
use crate::lower::{Misread, Places, Source, lower};
use crate::script::{Script, SyntaxError};
use crate::split::{Part, Pieces, Problem, split};
use crate::statement::{CommentText, Located, MetaCommand, Span, Statement};

/// Enough for the deepest statement that `split` lets through, in a build that is not optimised. It is only reserved.
const STACK_BYTES: usize = 1 << 30;

/// Reads a file. A statement that is not understood is `Broken`, and `errors` says why; the others are not harmed.
pub fn parse(text: &str) -> Script {
    let pieces = split(text);
    let is_light = pieces.parts.iter().all(|part| part.weight.is_light() || part.problem.is_some());
    if is_light {
        return Assembly::run(text, &pieces, true);
    }
    // The parser goes as deep as a statement nests, so that it gets a stack of its own.
    thread::scope(|scope| {
        let deep = thread::Builder::new().stack_size(STACK_BYTES);
        match deep.spawn_scoped(scope, || Assembly::run(text, &pieces, true)) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => Assembly::run(text, &pieces, false),
        }
    })
}

struct Assembly<'a> {
    text: &'a str,
    places: Places<'a>,
    script: Script,
    /// Whether there is a stack for statements that nest deeply.
    is_deep_allowed: bool,
}

impl<'a> Assembly<'a> {
    fn run(text: &'a str, pieces: &Pieces, is_deep_allowed: bool) -> Script {
        let mut assembly =
            Self { text, places: Places::new(text), script: Script::default(), is_deep_allowed };
        assembly.nul();
        for (index, part) in pieces.parts.iter().enumerate() {
            let located = assembly.located(part, index as u32 + 1);
            assembly.script.statements.push(located);
        }
        link(&mut assembly.script.statements);
        assembly.script.trailing_comments = assembly.comments(&pieces.comments, text.len());
        assembly.script.errors.sort_by_key(|error| error.span);
        assembly.script
    }

    /// PostgreSQL takes no NUL in a statement, wherever it is.
    fn nul(&mut self) {
        if let Some(at) = self.text.find('\0') {
            let message = "the file holds a NUL byte".to_owned();
            self.error(0, Span::new(at, at + 1), message, Some(hint::NUL.to_owned()));
        }
    }

    fn located(&mut self, part: &Part, number: u32) -> Located {
        let (line, column) = self.places.at(part.start);
        let own = &self.text[part.start..part.end];
        let statement = if part.is_meta { meta(own) } else { self.statement(part, own, number) };
        Located {
            statement,
            span: Span::new(part.start, part.end),
            line,
            column,
            number,
            text: own.to_owned(),
            comments: self.comments(&part.comments, part.start),
            is_conditional: false,
            is_repeated: false,
        }
    }

    fn statement(&mut self, part: &Part, own: &str, number: u32) -> Statement {
        if let Some(problem) = part.problem {
            let (at, message, hint) = hint::of_problem(problem);
            self.error(number, Span::new(at, part.end.max(at)), message.to_owned(), hint.map(str::to_owned));
            if !matches!(problem, Problem::OpenRows(_)) {
                return Statement::Broken;
            }
        }
        if !part.weight.is_light() && !self.is_deep_allowed {
            let (at, message, hint) = hint::of_problem(Problem::TooDeep(part.start));
            self.error(number, Span::new(at, part.end), message.to_owned(), hint.map(str::to_owned));
            return Statement::Broken;
        }
        let source = Source::new(self.text, &self.places, part.start);
        let (statement, misread) = lower(&source, own);
        let is_file_end = !part.is_ended;
        if let Some(first) = misread.into_iter().min_by_key(|misread| misread.start) {
            self.misread(part, own, &first, number, is_file_end);
        }
        match statement {
            Some(Statement::Copy(mut copy)) => {
                copy.rows = part.rows.map(|(start, end)| Span::new(start, end));
                Statement::Copy(copy)
            }
            Some(statement) => statement,
            None => Statement::Broken,
        }
    }

    /// Only the first error of a statement is told: those behind it mostly follow from it.
    fn misread(&mut self, part: &Part, own: &str, misread: &Misread, number: u32, is_file_end: bool) {
        let mut start = floor(own, misread.start);
        let found = hint::word_at(own, &mut start);
        let end = start + found.len();
        let message = hint::message(&misread.message, &found, is_file_end);
        let hint = hint::of_statement(own, start);
        self.error(number, Span::new(part.start + start, part.start + end), message, hint);
    }

    fn error(&mut self, statement: u32, span: Span, message: String, hint: Option<String>) {
        let (line, column) = self.places.at(span.start);
        self.script.errors.push(SyntaxError { span, line, column, statement, message, hint });
    }

    fn comments(&self, ranges: &[(usize, usize)], statement: usize) -> Vec<CommentText> {
        let comment = |(start, end): &(usize, usize)| {
            let before = self.text[..*start].rsplit('\n').next().unwrap_or_default();
            CommentText {
                span: Span::new(*start, *end),
                line: self.places.at(*start).0,
                text: self.text[*start..*end].to_owned(),
                is_before: *start < statement,
                is_trailing: !before.trim().is_empty(),
            }
        };
        ranges.iter().map(comment).collect()
    }
}

fn meta(line: &str) -> Statement {
    let line = line.trim_start_matches('\\');
    let name = line.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
    let arguments = line[name.len()..].trim().to_owned();
    Statement::Meta(Box::new(MetaCommand { name: name.to_owned(), arguments }))
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
