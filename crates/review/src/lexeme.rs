//! The words of a SQL text: what is neither white space nor a comment, by squawk's lexer.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LexemeKind {
    /// A word that is not quoted.
    Word,
    QuotedName,
    /// Any string, also a dollar-quoted one.
    String,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexeme<'a> {
    pub(crate) kind: LexemeKind,
    pub(crate) start: usize,
    pub(crate) text: &'a str,
}

impl Lexeme<'_> {
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is that word, whatever its case.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.kind != LexemeKind::QuotedName && self.text.eq_ignore_ascii_case(word)
    }
}

pub(crate) fn lexemes(text: &str) -> Vec<Lexeme<'_>> {
    let mut start = 0;
    let mut found = Vec::new();
    for token in tokenize(text) {
        let end = start + token.len as usize;
        let text = text.get(start..end).unwrap_or_default();
        if let Some(kind) = kind_of(token.kind).filter(|_| !text.is_empty()) {
            found.push(Lexeme { kind, start, text });
        }
        start = end;
    }
    found
}

/// `None` for what is no word: white space, comments and the end.
pub(crate) fn kind_of(kind: TokenKind) -> Option<LexemeKind> {
    match kind {
        TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } | TokenKind::Eof => {
            None
        }
        TokenKind::Ident => Some(LexemeKind::Word),
        TokenKind::QuotedIdent { .. } => Some(LexemeKind::QuotedName),
        TokenKind::Literal { kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. } } => {
            Some(LexemeKind::Other)
        }
        TokenKind::Literal { .. } => Some(LexemeKind::String),
        _ => Some(LexemeKind::Other),
    }
}

/// How deep a statement may nest, told from its words before it is parsed: the parser and all that walks its tree
/// go down as deep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Parentheses, brackets and CASEs within each other.
    pub(crate) parentheses: usize,
    /// Words without a comma between them: a chain of operators nests as deep as it is long.
    pub(crate) chain: usize,
    /// Words that nest even with commas between them: UNION and JOIN.
    pub(crate) joints: usize,
}

const PARENTHESES_MAX: usize = 500;
const CHAIN_MAX: usize = 20_000;
const JOINTS_MAX: usize = 5_000;

impl Weight {
    /// Of everything in the text; of strings that may hold code as well, as deep as strings are in strings.
    pub(crate) fn of(text: &str, strings: usize) -> Self {
        let mut weigher = Weigher::new(strings);
        for lexeme in lexemes(text) {
            weigher.add(&lexeme);
        }
        weigher.weight
    }

    fn max(self, other: Weight) -> Self {
        Self {
            parentheses: self.parentheses.max(other.parentheses),
            chain: self.chain.max(other.chain),
            joints: self.joints.max(other.joints),
        }
    }

    pub(crate) fn is_too_much(self) -> bool {
        self.parentheses > PARENTHESES_MAX || self.chain > CHAIN_MAX || self.joints > JOINTS_MAX
    }

    /// Whether a common thread's stack holds it.
    pub(crate) fn is_light(self) -> bool {
        self.parentheses <= 20 && self.chain <= 200 && self.joints <= 50
    }
}

/// Weighs word by word.
#[derive(Debug)]
pub(crate) struct Weigher {
    pub(crate) weight: Weight,
    /// Words since the last comma, for each level that is open.
    levels: Vec<usize>,
    sum: usize,
    strings: usize,
}

impl Weigher {
    pub(crate) fn new(strings: usize) -> Self {
        Self { weight: Weight::default(), levels: vec![0], sum: 0, strings }
    }

    pub(crate) fn add(&mut self, lexeme: &Lexeme) {
        match lexeme.kind {
            LexemeKind::Word => self.add_word(lexeme),
            LexemeKind::String if self.strings > 0 && lexeme.text.len() > 50 => {
                self.weight = self.weight.max(Weight::of(inside(lexeme.text), self.strings - 1));
            }
            LexemeKind::Other => match lexeme.text {
                "(" | "[" => self.levels.push(0),
                ")" | "]" => self.close(),
                "," | ";" => self.clear(),
                _ => {}
            },
            _ => {}
        }
        if let Some(last) = self.levels.last_mut() {
            *last += 1;
        }
        self.sum += 1;
        self.weight.chain = self.weight.chain.max(self.sum);
        self.weight.parentheses = self.weight.parentheses.max(self.levels.len() - 1);
    }

    fn add_word(&mut self, lexeme: &Lexeme) {
        let is = |words: &[&str]| words.iter().any(|word| lexeme.text.eq_ignore_ascii_case(word));
        if is(&["union", "intersect", "except", "join"]) {
            self.weight.joints += 1;
        } else if is(&["case"]) {
            self.levels.push(0);
        } else if is(&["end"]) {
            self.close();
        } else if is(&["when", "then", "else"]) {
            self.clear();
        }
    }

    fn close(&mut self) {
        if self.levels.len() > 1 {
            self.sum -= self.levels.pop().unwrap_or_default();
        }
    }

    fn clear(&mut self) {
        if let Some(last) = self.levels.last_mut() {
            self.sum -= std::mem::take(last);
        }
    }
}

/// Without the quotes, as far as it matters for weighing.
fn inside(string: &str) -> &str {
    if let Some(rest) = string.strip_prefix('$') {
        let open = rest.find('$').map_or(0, |at| at + 2);
        return string.get(open..string.len().saturating_sub(open)).unwrap_or_default();
    }
    let open = string.find('\'').map_or(0, |at| at + 1);
    string.get(open..string.len().saturating_sub(1)).unwrap_or_default()
}
