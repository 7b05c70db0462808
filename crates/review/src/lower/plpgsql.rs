//! PL/pgSQL: a body is taken apart into the statements within.
//!
//! It follows PL/pgSQL's own words (IF, LOOP, EXECUTE ...), and each SQL statement or expression within is parsed
//! alone. Not for: variables and their types.

use super::body::{located, parsed, sql};
use super::tree::{K, Source, Tree, decoded};
use crate::lexeme::{Lexeme, LexemeKind, Weight, lexemes};
use crate::statement::{Located, Query, Statement, Transaction};

/// The statements of a PL/pgSQL body.
pub(super) fn statements(source: &Source, text: &str) -> Vec<Located> {
    let mut walker =
        Walker { source, text, lexemes: lexemes(text), at: 0, scopes: Vec::new(), found: Vec::new() };
    while walker.at < walker.lexemes.len() {
        let before = walker.at;
        walker.step();
        // Whatever is not understood is passed by.
        walker.at = walker.at.max(before + 1);
    }
    walker.found
}

/// What encloses a statement.
#[derive(Clone, Copy, Default)]
struct Scope {
    is_conditional: bool,
    is_repeated: bool,
}

struct Walker<'a> {
    source: &'a Source<'a>,
    text: &'a str,
    lexemes: Vec<Lexeme<'a>>,
    at: usize,
    scopes: Vec<Scope>,
    found: Vec<Located>,
}

/// Words that begin a query whose INTO fills variables.
const QUERIES: &[&str] = &["select", "with", "insert", "update", "delete", "merge", "values", "table"];

impl<'a> Walker<'a> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.lexemes.get(at).is_some_and(|lexeme| lexeme.is(word))
    }

    /// One statement, or the head of one that holds others.
    fn step(&mut self) {
        let Some(lexeme) = self.lexemes.get(self.at).copied() else { return };
        let word = match lexeme.kind {
            LexemeKind::Word => lexeme.text.to_ascii_lowercase(),
            _ => lexeme.text.to_owned(),
        };
        match word.as_str() {
            ";" => self.at += 1,
            "<" | "<<" => self.label(),
            "#" => self.option(),
            "declare" => self.declarations(),
            "begin" => self.open(Scope::default()),
            "exception" if self.is(self.at + 1, "when") => self.handler(),
            "when" | "elsif" | "elseif" => self.branch(),
            "else" => self.at += 1,
            "end" => self.close(),
            "if" => self.head("then", Scope { is_conditional: true, is_repeated: false }),
            "while" => self.head("loop", Scope { is_conditional: true, is_repeated: true }),
            "loop" => self.open(Scope { is_conditional: false, is_repeated: true }),
            "for" | "foreach" => self.for_loop(),
            "case" => self.case(),
            _ => self.simple(&word),
        }
    }

    fn label(&mut self) {
        let ends = |lexeme: &Lexeme| lexeme.text.ends_with('>');
        let mut end = self.at;
        while self.lexemes.get(end).is_some_and(|lexeme| !ends(lexeme)) {
            end += 1;
        }
        while self.lexemes.get(end).is_some_and(ends) {
            end += 1;
        }
        self.at = end;
    }

    /// `#variable_conflict use_column`: a line of its own.
    fn option(&mut self) {
        let start = self.lexemes[self.at].start;
        let end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        while self.lexemes.get(self.at).is_some_and(|lexeme| lexeme.start < end) {
            self.at += 1;
        }
    }

    fn open(&mut self, scope: Scope) {
        self.scopes.push(scope);
        self.at += 1;
    }

    fn close(&mut self) {
        self.scopes.pop();
        self.at = self.end_of_statement(self.at) + 1;
    }

    /// What an exception handler does may not happen.
    fn handler(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.is_conditional = true;
        }
        self.at += 1;
        self.skip_to("then");
    }

    /// `WHEN condition THEN` of CASE or of a handler, `ELSIF condition THEN`.
    fn branch(&mut self) {
        let start = self.at + 1;
        let end = self.find(start, "then");
        self.expression(start, end);
        self.at = end + 1;
    }

    /// `IF condition THEN`, `WHILE condition LOOP`.
    fn head(&mut self, word: &str, scope: Scope) {
        let start = self.at + 1;
        let end = self.find(start, word);
        self.expression(start, end);
        self.scopes.push(scope);
        self.at = end + 1;
    }

    fn case(&mut self) {
        let start = self.at + 1;
        let end = self.find(start, "when");
        self.expression(start, end);
        self.scopes.push(Scope { is_conditional: true, is_repeated: false });
        self.at = end;
    }

    fn skip_to(&mut self, word: &str) {
        self.at = self.find(self.at, word) + 1;
    }

    /// `FOR x IN query LOOP`, `FOR i IN 1..n LOOP`, `FOR x IN EXECUTE text LOOP`, `FOREACH x IN ARRAY a LOOP`.
    fn for_loop(&mut self) {
        let mut start = self.find(self.at, "in") + 1;
        while self.is(start, "reverse") || self.is(start, "array") {
            start += 1;
        }
        let end = self.find(start, "loop");
        if self.is(start, "execute") {
            self.dynamic(start + 1, end);
        } else if self.begins_query(start) {
            self.sql(start, end);
        } else {
            let range = (start..end).find(|at| self.lexemes[*at].text == "..").unwrap_or(end);
            self.expression(start, range);
            self.expression(range + 1, end);
        }
        self.scopes.push(Scope { is_conditional: true, is_repeated: true });
        self.at = end + 1;
    }

    fn begins_query(&self, at: usize) -> bool {
        let mut at = at;
        while self.lexemes.get(at).is_some_and(|lexeme| lexeme.text == "(") {
            at += 1;
        }
        self.lexemes.get(at).is_some_and(|lexeme| QUERIES.iter().any(|word| lexeme.is(word)))
    }

    /// Up to BEGIN: values that variables start with, and queries of cursors.
    fn declarations(&mut self) {
        self.at += 1;
        while self.at < self.lexemes.len() && !self.is(self.at, "begin") {
            let end = self.end_of_statement(self.at);
            let words = self.at..end;
            let is_cursor = words.clone().any(|at| self.is(at, "cursor"));
            if is_cursor {
                let query = words.clone().find(|at| self.is(*at, "for") || self.is(*at, "is"));
                if let Some(query) = query {
                    self.sql(query + 1, end);
                }
            } else {
                let is_value =
                    |at: &usize| matches!(self.lexemes[*at].text, ":=" | "=") || self.is(*at, "default");
                if let Some(value) = words.clone().find(is_value) {
                    self.expression(value + 1, end);
                } else if let Some(colon) = words.clone().find(|at| self.lexemes[*at].text == ":") {
                    // The lexer gives `:` and `=` apart.
                    self.expression(colon + 2, end);
                }
            }
            self.at = end + 1;
        }
    }

    /// A statement that ends at the next `;`.
    fn simple(&mut self, word: &str) {
        let start = self.at;
        let end = self.end_of_statement(start);
        self.at = end + 1;
        match word {
            "execute" => self.dynamic(start + 1, end),
            "perform" => self.perform(start, end),
            "return" => self.returned(start + 1, end),
            "open" => self.opened(start, end),
            "exit" | "continue" => {
                let when = self.find(start, "when");
                self.expression(when + 1, end);
            }
            "null" | "get" | "fetch" | "move" | "close" => {}
            "raise" | "assert" => self.expressions(start + 1, end),
            "commit" | "rollback" => {
                let and_chain =
                    (start..end).any(|at| self.is(at, "chain")) && !(start..end).any(|at| self.is(at, "no"));
                let transaction = if word == "commit" {
                    Transaction::Commit { and_chain }
                } else {
                    Transaction::Rollback { and_chain }
                };
                self.push(Statement::Transaction(transaction), start, end);
            }
            _ => match self.assignment(start, end) {
                Some(value) => self.expression(value, end),
                None => self.sql(start, end),
            },
        }
    }

    /// Where the value begins in `a := 1`, `a.b[1] = 2`.
    fn assignment(&self, start: usize, end: usize) -> Option<usize> {
        let mut at = start + 1;
        let mut depth = 0;
        while at < end {
            let lexeme = &self.lexemes[at];
            match lexeme.text {
                "[" => depth += 1,
                "]" => depth -= 1,
                ":=" | "=" if depth == 0 => return Some(at + 1),
                ":" if depth == 0 && self.lexemes.get(at + 1).is_some_and(|next| next.text == "=") => {
                    return Some(at + 2);
                }
                "." => {}
                _ if depth > 0 => {}
                _ if self.lexemes[at - 1].text == "." => {}
                _ => return None,
            }
            at += 1;
        }
        None
    }

    /// `RETURN expression`, `RETURN NEXT expression`, `RETURN QUERY query`, `RETURN QUERY EXECUTE text`.
    fn returned(&mut self, start: usize, end: usize) {
        if self.is(start, "query") && self.is(start + 1, "execute") {
            self.dynamic(start + 2, end);
        } else if self.is(start, "query") {
            self.sql(start + 1, end);
        } else {
            let start = if self.is(start, "next") { start + 1 } else { start };
            self.expression(start, end);
        }
    }

    /// `OPEN cursor FOR query`, `OPEN cursor FOR EXECUTE text`.
    fn opened(&mut self, start: usize, end: usize) {
        let Some(query) = (start..end).find(|at| self.is(*at, "for")) else { return };
        if self.is(query + 1, "execute") {
            self.dynamic(query + 2, end);
        } else {
            self.sql(query + 1, end);
        }
    }

    /// The place of a word outside of parentheses and of CASE, or the end of the statement.
    fn find(&self, start: usize, word: &str) -> usize {
        let (mut depth, mut cases) = (0_usize, 0_usize);
        let mut at = start;
        while let Some(lexeme) = self.lexemes.get(at) {
            match lexeme.text {
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                ";" => return at,
                _ if depth > 0 => {}
                _ if cases == 0 && lexeme.is(word) => return at,
                _ if lexeme.is("case") => cases += 1,
                _ if lexeme.is("end") => cases = cases.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn end_of_statement(&self, start: usize) -> usize {
        let ends = |at: &usize| self.lexemes[*at].text == ";";
        (start..self.lexemes.len()).find(ends).unwrap_or(self.lexemes.len())
    }

    /// The bytes of these words.
    fn range(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let end = end.min(self.lexemes.len());
        (start < end).then(|| (self.lexemes[start].start, self.lexemes[end - 1].end()))
    }

    fn push(&mut self, statement: Statement, start: usize, end: usize) {
        if let Some(range) = self.range(start, end) {
            let text = &self.text[range.0..range.1];
            let located = located(self.source, statement, range, text, self.found.len() + 1);
            self.keep(located);
        }
    }

    fn keep(&mut self, mut located: Located) {
        located.is_conditional = self.scopes.iter().any(|scope| scope.is_conditional);
        located.is_repeated = self.scopes.iter().any(|scope| scope.is_repeated);
        located.number = self.found.len() as u32 + 1;
        self.found.push(located);
    }

    /// A SQL statement; INTO with its variables is blanked, as the server takes it out as well.
    fn sql(&mut self, start: usize, end: usize) {
        let Some((from, to)) = self.range(start, end) else { return };
        let mut text = self.text[from..to].to_owned();
        if let Some((blank_from, blank_to)) = self.targets(start, end) {
            let blanks = " ".repeat(blank_to - blank_from);
            text.replace_range(blank_from - from..blank_to - from, &blanks);
        }
        let mut inner = self.source.part(from, 0);
        inner.is_plpgsql = true;
        let statement = parsed(&inner, &text, Weight::of(&text, 1));
        self.push(statement, start, end);
    }

    /// `INTO [STRICT] a, b.c`, but not that of INSERT and MERGE.
    fn targets(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        if !self.begins_query(start) {
            return None;
        }
        let mut depth = 0_usize;
        let into = (start..end).find(|at| {
            match self.lexemes[*at].text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let is_target = *at > start && (self.is(*at - 1, "insert") || self.is(*at - 1, "merge"));
            depth == 0 && self.is(*at, "into") && !is_target
        })?;
        let mut at = into + 1;
        if self.is(at, "strict") {
            at += 1;
        }
        // A target, and as long as a comma or a dot follows, the next one.
        while at < end {
            at += 1;
            if self.lexemes.get(at).is_some_and(|lexeme| lexeme.text == "[") {
                at = (at..end).find(|at| self.lexemes[*at].text == "]").unwrap_or(end) + 1;
            }
            if at >= end || !matches!(self.lexemes[at].text, "," | ".") {
                break;
            }
            at += 1;
        }
        self.range(into, at.min(end))
    }

    /// PERFORM is a SELECT by another name, of the same length.
    fn perform(&mut self, start: usize, end: usize) {
        let Some((from, to)) = self.range(start, end) else { return };
        let text = format!("SELECT {}", &self.text[from + "perform".len()..to]);
        let source = self.source.part(from + "perform".len(), "SELECT ".len());
        let statement = parsed(&source, &text, Weight::of(&text, 0));
        self.push(statement, start, end);
    }

    /// Expressions between commas: `RAISE NOTICE '...', a, f(b) USING errcode = c`.
    fn expressions(&mut self, start: usize, end: usize) {
        let mut from = start;
        let mut depth = 0_usize;
        for at in start..=end.min(self.lexemes.len()) {
            let text = self.lexemes.get(at).map_or(",", |lexeme| lexeme.text);
            match text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if at == end || (depth == 0 && (text == "," || self.is(at, "using"))) {
                self.expression(from, at);
                from = at + 1;
            }
        }
    }

    /// An expression is of interest when it reads tables or calls functions.
    fn expression(&mut self, start: usize, end: usize) {
        let Some((from, to)) = self.range(start, end) else { return };
        if (start..end).all(|at| self.lexemes[at].text != "(") {
            return;
        }
        let text = format!("SELECT {}", &self.text[from..to]);
        let source = self.source.part(from, "SELECT ".len());
        let statement = parsed(&source, &text, Weight::of(&text, 0));
        let Statement::Query(mut query) = statement else { return };
        if is_of_interest(&query) {
            query.text = self.text[from..to].to_owned();
            query.span = self.source.span(from, to);
            self.push(Statement::Query(query), start, end);
        }
    }

    /// EXECUTE: a text that is a plain string is looked into, any other is unknown.
    fn dynamic(&mut self, start: usize, end: usize) {
        let stop = self.find(start, "using").min(self.find(start, "into")).min(end);
        let Some(range) = self.range(start, stop) else { return };
        let text = &self.text[range.0..range.1];
        if self.literal(range).is_none() {
            let reason = format!("the statement is made when it runs: {text}");
            self.push(Statement::Unknown { reason }, start, stop);
        }
    }

    /// The statements in a string that is executed as it is.
    fn literal(&mut self, range: (usize, usize)) -> Option<()> {
        let text = format!("SELECT {}", &self.text[range.0..range.1]);
        if Weight::of(&text, 1).is_too_much() {
            return None;
        }
        let root = squawk_syntax::SourceFile::parse(&text).syntax_node();
        let target = root.deep(K::TARGET)?;
        let (literal, is_format) = plain_string(&target)?;
        let value = decoded(&literal)?;
        if is_format && value.text().contains('%') {
            return None;
        }
        let outer = self.source.part(range.0, "SELECT ".len());
        let inner = outer.of_value(&value);
        for located in sql(&inner, value.text()) {
            self.keep(located);
        }
        Some(())
    }
}

/// A string alone, or `format` of one string alone, which must hold no `%`.
fn plain_string(target: &super::tree::Node) -> Option<(super::tree::Node, bool)> {
    let mut node = target.expression()?;
    while node.kind() == K::PAREN_EXPR {
        node = node.expression()?;
    }
    if node.kind() == K::LITERAL {
        return Some((node, false));
    }
    let is_format = node.kind() == K::CALL_EXPR && super::tree::name_of(&node.first_child()?) == "format";
    let arguments = node.first(K::ARG_LIST).filter(|_| is_format)?.every(K::ARG);
    let [argument] = arguments.as_slice() else { return None };
    let literal = argument.expression().filter(|literal| literal.kind() == K::LITERAL)?;
    Some((literal, true))
}

fn is_of_interest(query: &Query) -> bool {
    let calls = query.functions.iter().any(|call| !call.is_keyword);
    calls || !query.reads.is_empty() || !query.writes.is_empty()
}
