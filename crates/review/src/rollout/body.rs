//! Statements that run others: the bodies of DO, calls of functions that the file makes, prepared statements.
//!
//! Where all that they do is known and each statement can stand for itself, it goes its own way. Not for: what a body
//! decides when it runs.

use super::draft::Draft;
use super::outage::NoRoute;
use super::world::World;
use super::{as_it_is, measure, model, rows_statement, statement};
use crate::statement::{Do, Execute, Located, Query, QueryKind, Statement};

/// A body of nothing but plain statements becomes these; any other stays whole.
pub(super) fn block(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    block: &Do,
) -> Result<(), NoRoute> {
    if !disturbs(world, located) || !is_plain(world, located, &block.body.statements) {
        return as_it_is(draft, world, located);
    }
    draft.note(format!(
        "The statements of the DO in line {} are steps of their own, each with its own transaction.",
        located.line
    ));
    each(draft, world, located, &block.body.statements)
}

/// What was prepared is the session's, and steps have none in common: it is written out.
pub(super) fn execute(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    execute: &Execute,
) -> Result<(), NoRoute> {
    match execute.runs.as_deref() {
        Some(runs) if runs.iter().all(|run| !run.text.contains('$')) => each(draft, world, located, runs),
        _ => Err(NoRoute::at_all(
            "what is prepared belongs to a session, and the steps of a plan have none in common; write the statement \
             out with its values",
        )),
    }
}

/// A query that calls functions which the file makes.
pub(super) fn query(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    query: &Query,
) -> Result<(), NoRoute> {
    if query.kind == QueryKind::Select && !query.runs.is_empty() {
        refuse(world, located)?;
    }
    rows_statement(draft, world, located, query)
}

/// CALL of a procedure, known or not.
pub(super) fn call(draft: &mut Draft, world: &World<'_>, located: &Located) -> Result<(), NoRoute> {
    refuse(world, located)?;
    as_it_is(draft, world, located)
}

fn refuse(world: &World<'_>, located: &Located) -> Result<(), NoRoute> {
    if !disturbs(world, located) {
        return Ok(());
    }
    Err(NoRoute::new(
        "what it calls reads or writes tables whole under locks that stop others; with its statements written out in \
         the file, each of them may have an online way",
    ))
}

fn disturbs(world: &World<'_>, located: &Located) -> bool {
    measure::disturbs(&model::effects(&located.statement, world.catalog, world.version))
}

fn each(
    draft: &mut Draft,
    world: &World<'_>,
    outer: &Located,
    statements: &[Located],
) -> Result<(), NoRoute> {
    statements.iter().try_for_each(|inner| {
        let inner = Located { number: outer.number, ..inner.clone() };
        statement(draft, world, &inner)
    })
}

/// Whether the body holds its statements and no more: no variables, no branches, nothing made when it runs.
fn is_plain(world: &World<'_>, located: &Located, statements: &[Located]) -> bool {
    let is_itself = |inner: &Located| {
        let is_known = !matches!(
            &inner.statement,
            Statement::Unknown { .. }
                | Statement::Transaction(_)
                | Statement::Call(_)
                | Statement::Set(_)
                | Statement::Drop(_)
        );
        let is_read = matches!(&inner.statement, Statement::Query(query) if query.kind == QueryKind::Select);
        is_known
            && !is_read
            && !inner.is_conditional
            && !inner.is_repeated
            && world.cut(inner.span) == inner.text
    };
    if !statements.iter().all(is_itself) {
        return false;
    }
    let mut rest = located.text.clone();
    for inner in statements.iter().rev() {
        let start = inner.span.start.checked_sub(located.span.start);
        let end = inner.span.end.checked_sub(located.span.start);
        let (Some(start), Some(end)) = (start, end) else { return false };
        if rest.get(start..end).is_none() {
            return false;
        }
        rest.replace_range(start..end, " ");
    }
    let words = rest.split(|c: char| c.is_whitespace() || matches!(c, ';' | '$' | '\''));
    words.filter(|word| !word.is_empty()).all(|word| {
        ["do", "language", "plpgsql", "begin", "end", "execute"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    })
}
