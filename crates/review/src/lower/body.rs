//! Bodies of functions and of DO that are SQL, and what all bodies share.
//!
//! What is not understood is `Unknown`, and not an error: a body is only checked when it runs. Not for: PL/pgSQL.

use super::tree::Source;
use crate::hint;
use crate::lexeme::Weight;
use crate::split::{Part, split};
use crate::statement::{Located, Statement};

/// The statements of a SQL function.
pub(super) fn sql(source: &Source, text: &str) -> Vec<Located> {
    let parts = split(text).parts;
    parts.iter().enumerate().map(|(index, part)| sql_part(source, text, part, index + 1)).collect()
}

fn sql_part(source: &Source, text: &str, part: &Part, number: usize) -> Located {
    let own = &text[part.start..part.end];
    let inner = source.part(part.start, 0);
    let statement = parsed(&inner, own, part.weight);
    located(source, statement, (part.start, part.end), own, number)
}

pub(super) fn parsed(source: &Source, text: &str, weight: Weight) -> Statement {
    if weight.is_too_much() {
        return Statement::Unknown { reason: "it nests too deeply to be read".to_owned() };
    }
    let (statement, misread) = super::lower(source, text);
    statement.unwrap_or_else(|| {
        let first = misread.into_iter().min_by_key(|misread| misread.start);
        let reason = first.map_or("it holds no statement".to_owned(), |first| {
            let mut at = first.start.min(text.len());
            let found = hint::word_at(text, &mut at);
            hint::message(&first.message, &found, false)
        });
        Statement::Unknown { reason }
    })
}

pub(super) fn located(
    source: &Source,
    statement: Statement,
    range: (usize, usize),
    text: &str,
    number: usize,
) -> Located {
    let span = source.span(range.0, range.1);
    let (line, column) = source.places.at(span.start);
    Located {
        statement,
        span,
        line,
        column,
        number: number as u32,
        text: text.to_owned(),
        comments: Vec::new(),
        is_conditional: false,
        is_repeated: false,
    }
}
