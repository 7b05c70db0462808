//! Splits a file into its statements, psql's lines and the rows of COPY, before anything is parsed.
//!
//! Each part is parsed by itself, so that a broken statement does not take the next ones with it, and a large dump
//! is read in one pass. It follows psql: `;` ends a statement, but not within BEGIN ATOMIC and not within the
//! parentheses of CREATE RULE. Not for: what a statement says.

use squawk_lexer::{LiteralKind, Token, TokenKind, tokenize};

use crate::lexeme::{Lexeme, LexemeKind, Weigher, Weight, kind_of};

#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) parts: Vec<Part>,
    /// Comments behind the last part.
    pub(crate) comments: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub(crate) struct Part {
    /// From the first word to the last one, without the `;`.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) is_meta: bool,
    /// Whether a `;` or a line such as `\gexec` ends it, and not the end of the file.
    pub(crate) is_ended: bool,
    pub(crate) comments: Vec<(usize, usize)>,
    /// The rows behind COPY ... FROM stdin.
    pub(crate) rows: Option<(usize, usize)>,
    pub(crate) problem: Option<Problem>,
    pub(crate) weight: Weight,
}

/// What is known to be wrong without parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    OpenString(usize),
    OpenName(usize),
    OpenDollar(usize),
    OpenComment(usize),
    /// COPY ... FROM stdin whose rows do not end.
    OpenRows(usize),
    TooDeep(usize),
}

pub(crate) fn split(text: &str) -> Pieces {
    let mut splitter = Splitter { text, at: 0, open: None, pieces: Pieces::default() };
    while splitter.at < text.len() {
        splitter.run();
    }
    splitter.finish(false);
    let last_end = splitter.pieces.parts.last().map_or(0, |part| part.end);
    debug_assert!(last_end <= text.len(), "parts are within the text");
    splitter.pieces
}

struct Splitter<'a> {
    text: &'a str,
    at: usize,
    open: Option<Open>,
    pieces: Pieces,
}

/// A statement that is being read.
struct Open {
    start: usize,
    end: usize,
    /// Its first words, in lower case.
    words: Vec<String>,
    last_word: String,
    parentheses: usize,
    /// Of BEGIN ATOMIC and the CASEs within it.
    blocks: usize,
    is_from_stdin: bool,
    comments: Vec<(usize, usize)>,
    problem: Option<Problem>,
    weigher: Weigher,
}

impl Splitter<'_> {
    /// Reads until the lexer must begin anew: behind a line of psql, or behind rows of COPY.
    fn run(&mut self) {
        let text = self.text;
        for token in tokenize(&text[self.at..]) {
            let start = self.at;
            self.at += token.len as usize;
            if text[start..].starts_with('\\') {
                return self.meta(start);
            }
            if token.kind == TokenKind::Semi {
                if self.semicolon(start) {
                    return;
                }
            } else {
                self.token(token, start);
            }
        }
        self.at = text.len();
    }

    fn token(&mut self, token: Token, start: usize) {
        let end = self.at;
        match token.kind {
            TokenKind::Whitespace | TokenKind::Eof => return,
            TokenKind::LineComment => return self.comment(start, end),
            TokenKind::BlockComment { terminated } => {
                self.comment(start, end);
                if !terminated {
                    let open = self.open.get_or_insert_with(|| Open::new(start, start));
                    open.problem.get_or_insert(Problem::OpenComment(start));
                }
                return;
            }
            _ => {}
        }
        let Some(kind) = kind_of(token.kind) else { return };
        if start == 0 && self.text.starts_with('\u{feff}') {
            return;
        }
        let lexeme = Lexeme { kind, start, text: &self.text[start..end] };
        let pending =
            if self.open.is_none() { std::mem::take(&mut self.pieces.comments) } else { Vec::new() };
        let open = self.open.get_or_insert_with(|| Open { comments: pending, ..Open::new(start, end) });
        open.add(&lexeme);
        if let Some(problem) = unterminated(token.kind, start, lexeme.text) {
            open.problem.get_or_insert(problem);
        }
    }

    /// A comment belongs to the statement that it is in, else to the one before it on the same line, else to the
    /// next one.
    fn comment(&mut self, start: usize, end: usize) {
        if let Some(open) = &mut self.open {
            return open.comments.push((start, end));
        }
        let last = self.pieces.parts.last_mut().filter(|_| self.pieces.comments.is_empty());
        match last {
            Some(last) if !self.text[last.end..start].contains('\n') => last.comments.push((start, end)),
            _ => self.pieces.comments.push((start, end)),
        }
    }

    /// Whether the lexer must begin anew.
    fn semicolon(&mut self, at: usize) -> bool {
        let Some(open) = &mut self.open else { return false };
        if open.is_within() {
            let lexeme = Lexeme { kind: LexemeKind::Other, start: at, text: ";" };
            open.weigher.add(&lexeme);
            open.end = at + 1;
            return false;
        }
        let has_rows = open.is_from_stdin;
        self.finish(true);
        if has_rows {
            self.rows();
        }
        has_rows
    }

    fn finish(&mut self, is_ended: bool) {
        let Some(open) = self.open.take() else { return };
        let weight = open.weigher.weight;
        let too_deep = weight.is_too_much().then_some(Problem::TooDeep(open.start));
        self.pieces.parts.push(Part {
            start: open.start,
            end: open.end,
            is_meta: false,
            is_ended,
            comments: open.comments,
            rows: None,
            problem: open.problem.or(too_deep),
            weight,
        });
    }

    /// The rest of the line is psql's.
    fn meta(&mut self, start: usize) {
        let end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        self.finish(true);
        self.at = end;
        self.pieces.parts.push(Part {
            start,
            end: start + self.text[start..end].trim_end().len(),
            is_meta: true,
            is_ended: true,
            comments: std::mem::take(&mut self.pieces.comments),
            rows: None,
            problem: None,
            weight: Weight::default(),
        });
    }

    /// Skips the rows behind COPY ... FROM stdin, up to the line `\.`.
    fn rows(&mut self) {
        let Some(length) = self.text[self.at..].find('\n') else { return };
        let start = self.at + length + 1;
        if self.text[start..].trim().is_empty() {
            return;
        }
        let mut end = start;
        let mut is_closed = false;
        for line in self.text[start..].split_inclusive('\n') {
            end += line.len();
            if line.trim_end_matches(['\r', '\n']) == "\\." {
                is_closed = true;
                break;
            }
        }
        self.at = end;
        if let Some(part) = self.pieces.parts.last_mut() {
            part.rows = Some((start, end));
            if !is_closed {
                part.problem.get_or_insert(Problem::OpenRows(start));
            }
        }
    }
}

impl Open {
    fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end,
            words: Vec::new(),
            last_word: String::new(),
            parentheses: 0,
            blocks: 0,
            is_from_stdin: false,
            comments: Vec::new(),
            problem: None,
            weigher: Weigher::new(0),
        }
    }

    fn add(&mut self, lexeme: &Lexeme) {
        self.end = lexeme.end();
        match lexeme.text {
            "(" => self.parentheses += 1,
            ")" => self.parentheses = self.parentheses.saturating_sub(1),
            _ if lexeme.kind == LexemeKind::Word => self.add_word(lexeme.text),
            _ => {}
        }
        self.weigher.add(lexeme);
    }

    fn add_word(&mut self, text: &str) {
        // Words of interest are short; others need no copy.
        if text.len() > 12 {
            return self.last_word.clear();
        }
        let word = text.to_ascii_lowercase();
        match word.as_str() {
            "atomic" if self.last_word == "begin" && self.is_routine() => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            "stdin" if self.last_word == "from" && self.first() == "copy" => self.is_from_stdin = true,
            _ => {}
        }
        if self.words.len() < 4 {
            if self.words.is_empty() && matches!(word.as_str(), "create" | "do") {
                // Strings in these may be code.
                self.weigher = Weigher::new(2);
            }
            self.words.push(word.clone());
        }
        self.last_word = word;
    }

    fn first(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    fn creates(&self, kinds: &[&str]) -> bool {
        let rest = match self.words.as_slice() {
            [create, or, replace, rest @ ..] if create == "create" && or == "or" && replace == "replace" => {
                rest
            }
            [create, rest @ ..] if create == "create" => rest,
            _ => return false,
        };
        rest.first().is_some_and(|kind| kinds.contains(&kind.as_str()))
    }

    fn is_routine(&self) -> bool {
        self.creates(&["function", "procedure"])
    }

    /// Whether a `;` is a part of the statement. A schema's elements may be functions with bodies.
    fn is_within(&self) -> bool {
        self.blocks > 0 || (self.parentheses > 0 && self.creates(&["rule"]))
    }
}

fn unterminated(kind: TokenKind, start: usize, text: &str) -> Option<Problem> {
    match kind {
        TokenKind::QuotedIdent { terminated: false, .. } => Some(Problem::OpenName(start)),
        TokenKind::Literal { kind } => match kind {
            LiteralKind::DollarQuotedString { terminated: false } => Some(Problem::OpenDollar(start)),
            LiteralKind::Str { terminated: false }
            | LiteralKind::NationalStr { terminated: false }
            | LiteralKind::ByteStr { terminated: false }
            | LiteralKind::BitStr { terminated: false }
            | LiteralKind::UnicodeEscStr { terminated: false }
            | LiteralKind::EscStr { terminated: false } => Some(Problem::OpenString(start)),
            _ => None,
        },
        // A lone `$tag$` that is never closed is read as other tokens by some versions of the lexer.
        _ if text.starts_with('$') && text.len() > 1 && text.ends_with('$') => {
            Some(Problem::OpenDollar(start))
        }
        _ => None,
    }
}
