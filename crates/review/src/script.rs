//! A file that was parsed: its statements in order, and what could not be understood.

use std::fmt;

use crate::statement::{CommentText, Located, Span};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    pub statements: Vec<Located>,
    /// In the order of the text.
    pub errors: Vec<SyntaxError>,
    /// Those after the last statement; others are with their statements.
    pub trailing_comments: Vec<CommentText>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub span: Span,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The number of the statement that it is in, from 1.
    pub statement: u32,
    /// What was found or expected, without the place.
    pub message: String,
    /// What to write instead, for mistakes that are known, such as another dialect.
    pub hint: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
