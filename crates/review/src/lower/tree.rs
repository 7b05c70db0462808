//! Walking squawk's tree by the kinds of its nodes, and mapping its ranges back into the file.
//!
//! Kinds are used instead of the typed tree: every optional clause is a node of a kind of its own, so that "is it
//! there" is all that most of the lowering asks. Not for: what nodes mean.

use std::cell::Cell;

use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::decoded_text::DecodedText;
pub(crate) use squawk_syntax::{SyntaxKind as K, SyntaxNode as Node, SyntaxToken as Token};

use crate::statement::{CommentText, Identifier, Located, ObjectName, Span, Statement};

/// PostgreSQL keeps that many bytes of a name.
const NAME_BYTES_MAX: usize = 63;

pub(crate) trait Tree {
    /// The first direct child of that kind.
    fn first(&self, kind: K) -> Option<Node>;
    fn first_of(&self, kinds: &[K]) -> Option<Node>;
    fn every(&self, kind: K) -> Vec<Node>;
    /// Whether a direct child, a node or a token, is of that kind.
    fn has(&self, kind: K) -> bool;
    /// The first of that kind anywhere below.
    fn deep(&self, kind: K) -> Option<Node>;
    /// Tokens that are direct children, without white space and comments.
    fn tokens(&self) -> Vec<Token>;
    /// The first direct child that is an expression.
    fn expression(&self) -> Option<Node>;
    /// The first direct child that is a type.
    fn type_node(&self) -> Option<Node>;
    /// All words below, in lower case, a blank between them.
    fn words(&self) -> String;
}

impl Tree for Node {
    fn first(&self, kind: K) -> Option<Node> {
        if !holds(self, &[kind]) {
            return None;
        }
        self.children().find(|child| child.kind() == kind)
    }

    fn first_of(&self, kinds: &[K]) -> Option<Node> {
        if !holds(self, kinds) {
            return None;
        }
        self.children().find(|child| kinds.contains(&child.kind()))
    }

    fn every(&self, kind: K) -> Vec<Node> {
        if !holds(self, &[kind]) {
            return Vec::new();
        }
        self.children().filter(|child| child.kind() == kind).collect()
    }

    fn has(&self, kind: K) -> bool {
        holds(self, &[kind])
    }

    fn deep(&self, kind: K) -> Option<Node> {
        self.descendants().skip(1).find(|node| node.kind() == kind)
    }

    fn tokens(&self) -> Vec<Token> {
        let tokens = self.children_with_tokens().filter_map(|child| child.into_token());
        tokens.filter(|token| !is_trivia(token.kind())).collect()
    }

    fn expression(&self) -> Option<Node> {
        self.children().find(|child| is_expression(child.kind()))
    }

    fn type_node(&self) -> Option<Node> {
        self.children().find(|child| is_type(child.kind()))
    }

    fn words(&self) -> String {
        let tokens = self.descendants_with_tokens().filter_map(|child| child.into_token());
        let words: Vec<String> = tokens
            .filter(|token| !is_trivia(token.kind()))
            .map(|token| token.text().to_lowercase())
            .collect();
        words.join(" ")
    }
}

/// Whether a direct child, a node or a token, is of one of these kinds. Most optional clauses are not there, and that is
/// told without making a node for each child.
fn holds(node: &Node, kinds: &[K]) -> bool {
    node.green().children().any(|child| kinds.iter().any(|kind| *kind as u16 == child.kind().0))
}

pub(crate) fn is_trivia(kind: K) -> bool {
    matches!(kind, K::WHITESPACE | K::COMMENT)
}

pub(crate) fn is_expression(kind: K) -> bool {
    matches!(
        kind,
        K::CALL_EXPR
            | K::CAST_EXPR
            | K::COLLATE
            | K::ARRAY_EXPR
            | K::LITERAL
            | K::NAME_REF
            | K::BIN_EXPR
            | K::CASE_EXPR
            | K::FIELD_EXPR
            | K::INDEX_EXPR
            | K::SLICE_EXPR
            | K::BETWEEN_EXPR
            | K::PAREN_EXPR
            | K::TUPLE_EXPR
            | K::PREFIX_EXPR
            | K::POSTFIX_EXPR
            | K::NON_STANDARD_PARAM
    )
}

pub(crate) fn is_type(kind: K) -> bool {
    matches!(
        kind,
        K::ARRAY_TYPE
            | K::PATH_TYPE
            | K::VARCHAR_TYPE
            | K::CHARACTER_TYPE
            | K::BIT_TYPE
            | K::BIT_VARYING_TYPE
            | K::DOUBLE_TYPE
            | K::TIME_TYPE
            | K::TIMESTAMP_TYPE
            | K::INTERVAL_TYPE
            | K::PERCENT_TYPE
    )
}

pub(crate) fn is_query(kind: K) -> bool {
    matches!(
        kind,
        K::SELECT
            | K::SELECT_INTO
            | K::COMPOUND_SELECT
            | K::PAREN_SELECT
            | K::TABLE
            | K::VALUES
            | K::INSERT
            | K::UPDATE
            | K::DELETE
            | K::MERGE
    )
}

/// Lines and columns of a text, for offsets that mostly grow.
pub(crate) struct Places<'a> {
    text: &'a str,
    last: Cell<(usize, u32, u32)>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, last: Cell::new((0, 1, 1)) }
    }

    /// The line and the column in characters, both from 1.
    pub(crate) fn at(&self, offset: usize) -> (u32, u32) {
        let offset = floor_char(self.text, offset);
        let (mut start, mut line, mut column) = self.last.get();
        if offset < start {
            // Going back: only within what was walked since the last line began, or from the start.
            let back = &self.text[offset..start];
            let line_start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
            line -= back.matches('\n').count() as u32;
            (start, column) = (line_start, 1);
        }
        let passed = &self.text[start..offset];
        if let Some(last) = passed.rfind('\n') {
            line += passed.matches('\n').count() as u32;
            column = 1 + passed[last + 1..].chars().count() as u32;
        } else {
            column += passed.chars().count() as u32;
        }
        self.last.set((offset, line, column));
        (line, column)
    }
}

fn floor_char(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A text that was parsed, and where it stands in the file.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) places: &'a Places<'a>,
    outer: Outer<'a>,
    /// In PL/pgSQL, SELECT ... INTO fills variables.
    pub(crate) is_plpgsql: bool,
}

#[derive(Clone, Copy)]
enum Outer<'a> {
    /// The text begins there in the file. Less than 0 when words were put before it.
    File(isize),
    /// The text begins there in the value of a string of another text.
    Value { source: &'a Source<'a>, value: &'a DecodedText, shift: isize },
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a str, places: &'a Places<'a>, start: usize) -> Self {
        Self { file, places, outer: Outer::File(start as isize), is_plpgsql: false }
    }

    /// For the value of a string literal in this text.
    pub(crate) fn of_value<'b>(&'b self, value: &'b DecodedText) -> Source<'b> {
        let outer = Outer::Value { source: self, value, shift: 0 };
        Source { file: self.file, places: self.places, outer, is_plpgsql: false }
    }

    /// For a part of this text that begins at `start`, with `before` bytes of other words put before it.
    pub(crate) fn part<'b>(&'b self, start: usize, before: usize) -> Source<'b> {
        let moved = start as isize - before as isize;
        let outer = match self.outer {
            Outer::File(start) => Outer::File(start + moved),
            Outer::Value { source, value, shift } => Outer::Value { source, value, shift: shift + moved },
        };
        Source { file: self.file, places: self.places, outer, is_plpgsql: self.is_plpgsql }
    }

    fn offset(&self, offset: usize) -> usize {
        match self.outer {
            Outer::File(start) => {
                floor_char(self.file, start.saturating_add_unsigned(offset).max(0).unsigned_abs())
            }
            Outer::Value { source, value, shift } => {
                let inner =
                    shift.saturating_add_unsigned(offset).max(0).unsigned_abs().min(value.text().len());
                source.offset(usize::from(value.source_pos((inner as u32).into())))
            }
        }
    }

    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let start = self.offset(start);
        Span::new(start, self.offset(end).max(start))
    }

    /// Without the white space and comments around it.
    pub(crate) fn span_of(&self, node: &Node) -> Span {
        let (start, end) = bounds(node);
        self.span(start, end)
    }

    pub(crate) fn span_of_token(&self, token: &Token) -> Span {
        let range = token.text_range();
        self.span(range.start().into(), range.end().into())
    }

    pub(crate) fn identifier(&self, node: &Node) -> Identifier {
        Identifier::new(name_of(node), self.span_of(node))
    }

    pub(crate) fn identifiers(&self, nodes: impl IntoIterator<Item = Node>) -> Vec<Identifier> {
        nodes.into_iter().map(|node| self.identifier(&node)).collect()
    }

    /// The columns of a list in parentheses, which is a direct child of that kind.
    pub(crate) fn columns(&self, node: &Node, list: K) -> Vec<Identifier> {
        let Some(list) = node.first(list) else { return Vec::new() };
        self.identifiers(list.children().filter(|child| {
            matches!(child.kind(), K::COLUMN_NAME_REF | K::COLUMN_NAME | K::COLUMN_TARGET | K::PERIOD_COLUMN)
        }))
    }

    /// A name with its schema, from a path, or from anything that holds one.
    pub(crate) fn name(&self, node: &Node) -> ObjectName {
        let (schema, name) = match segments(node).as_slice() {
            [] => (None, name_of(node)),
            [name] => (None, name.clone()),
            [.., schema, name] => (Some(schema.clone()), name.clone()),
        };
        ObjectName { schema, name, span: self.span_of(node) }
    }

    /// The name in the first direct child of that kind.
    pub(crate) fn name_in(&self, node: &Node, kind: K) -> ObjectName {
        node.first(kind).map(|child| self.name(&child)).unwrap_or_default()
    }

    pub(crate) fn identifier_in(&self, node: &Node, kind: K) -> Option<Identifier> {
        node.first(kind).map(|child| self.identifier(&child))
    }

    /// A table and its column, from a path of two or three parts.
    pub(crate) fn qualified_column(&self, node: &Node) -> (ObjectName, Identifier) {
        let mut parts = segments(node);
        let span = self.span_of(node);
        let column = Identifier::new(parts.pop().unwrap_or_default(), span);
        let name = parts.pop().unwrap_or_default();
        (ObjectName { schema: parts.pop(), name, span }, column)
    }

    /// A statement within another, with its place.
    pub(crate) fn locate(&self, node: &Node, statement: Statement, number: usize) -> Located {
        let span = self.span_of(node);
        let (line, column) = self.places.at(span.start);
        let comments = node.descendants_with_tokens().filter_map(|child| child.into_token());
        let comments = comments.filter(|token| token.kind() == K::COMMENT);
        let comments = comments.map(|token| self.comment(&token)).collect();
        Located {
            statement,
            span,
            line,
            column,
            number: number as u32,
            text: text_of(node),
            comments,
            is_conditional: false,
            is_repeated: false,
        }
    }

    fn comment(&self, token: &Token) -> CommentText {
        let span = self.span_of_token(token);
        let before = self.file[..span.start].rsplit('\n').next().unwrap_or_default();
        CommentText {
            span,
            line: self.places.at(span.start).0,
            text: token.text().to_owned(),
            is_before: false,
            is_trailing: !before.trim().is_empty(),
        }
    }
}

/// The range in the parsed text, without the white space and comments around it.
pub(crate) fn bounds(node: &Node) -> (usize, usize) {
    let edge = |mut token: Option<Token>, next: fn(&Token) -> Option<Token>| {
        let range = node.text_range();
        while let Some(found) = &token {
            if !range.contains_range(found.text_range()) {
                return None;
            }
            if !is_trivia(found.kind()) {
                return token;
            }
            token = next(found);
        }
        None
    };
    let start = edge(node.first_token(), Token::next_token);
    let end = edge(node.last_token(), Token::prev_token);
    let range = node.text_range();
    let start = start.map_or(range.start(), |token| token.text_range().start());
    let end = end.map_or(range.end(), |token| token.text_range().end());
    (start.into(), end.max(start).into())
}

/// The text of a node, without the white space and comments around it, and without a `;` at its end.
pub(crate) fn text_of(node: &Node) -> String {
    let (start, end) = bounds(node);
    let offset: usize = node.text_range().start().into();
    let text = node.text().to_string();
    let text = text.get(start - offset..end - offset).unwrap_or_default();
    let is_statement = node.last_token().is_some_and(|token| token.kind() == K::SEMICOLON);
    if is_statement { text.trim_end_matches(';').trim_end().to_owned() } else { text.to_owned() }
}

/// The name in a node, folded as PostgreSQL does; of a path the last part.
pub(crate) fn name_of(node: &Node) -> String {
    match segments(node).pop() {
        Some(name) => name,
        None => {
            let leaf = node.descendants().filter(|node| node.first_child().is_none()).last();
            fold(&leaf.unwrap_or_else(|| node.clone()))
        }
    }
}

/// The parts of a path, or of a name in an expression.
pub(crate) fn segments(node: &Node) -> Vec<String> {
    let is_part = |kind| matches!(kind, K::PATH_SEGMENT | K::PATH_SEGMENT_REF | K::NAME_REF);
    node.descendants().filter(|node| is_part(node.kind())).map(|node| fold(&node)).collect()
}

/// `squawk` folds and unquotes; it does not cut.
fn fold(node: &Node) -> String {
    cut(ast::normalize_name_node(node))
}

fn cut(mut name: String) -> String {
    if name.len() > NAME_BYTES_MAX {
        name.truncate(floor_char(&name, NAME_BYTES_MAX));
    }
    name
}

/// A name that stands alone in a text, folded and unquoted.
pub(crate) fn fold_name(text: &str) -> String {
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    cut(quoted.map_or_else(|| text.to_ascii_lowercase(), |text| text.replace("\"\"", "\"")))
}

/// The value of a string literal. Of a number squawk would give an empty string.
pub(crate) fn string_of(node: &Node) -> Option<String> {
    decoded(node).map(DecodedText::into_text)
}

pub(crate) fn decoded(node: &Node) -> Option<DecodedText> {
    let literal = ast::Literal::cast(node.clone())?;
    let is_string = matches!(
        literal.kind()?,
        ast::LitKind::String(_)
            | ast::LitKind::EscString(_)
            | ast::LitKind::DollarQuotedString(_)
            | ast::LitKind::UnicodeEscString(_)
            | ast::LitKind::NationalString(_)
    );
    if is_string { literal.decoded_value() } else { None }
}

/// An integer, with its sign; `_` between digits is left out.
pub(crate) fn integer_of(node: &Node) -> Option<i64> {
    let text: String = text_of(node).chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    text.strip_prefix('+').unwrap_or(&text).parse().ok()
}
