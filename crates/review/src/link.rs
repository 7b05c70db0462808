//! What a file calls, and itself says: functions and procedures that it makes, statements that it prepares.
//!
//! Their statements are put to those that run them, so that what they lock and break counts where it happens. Not for:
//! what other files or the database hold; that stays unknown.

use std::collections::BTreeMap;

use crate::statement::{Located, Statement};

/// Puts the statements that are run to those that run them.
pub(crate) fn link(statements: &mut [Located]) {
    let mut known = Known::default();
    for located in statements {
        known.resolve(&mut located.statement, &mut Vec::new());
        known.learn(&located.statement);
    }
}

/// What the file has made so far, by name; a name without its schema, as most calls are written.
#[derive(Default)]
struct Known {
    functions: BTreeMap<String, Vec<Located>>,
    prepared: BTreeMap<String, Located>,
}

impl Known {
    fn learn(&mut self, statement: &Statement) {
        match statement {
            Statement::CreateFunction(create) if create.body.is_read => {
                self.functions.insert(create.name.name.clone(), create.body.statements.clone());
            }
            // What it does is in another language, or in no string that is known.
            Statement::CreateFunction(create) => {
                self.functions.remove(&create.name.name);
            }
            Statement::Prepare(prepare) => {
                self.prepared.insert(prepare.name.clone(), (*prepare.statement).clone());
            }
            _ => {}
        }
    }

    /// `open` are the functions that are being looked into: one that calls itself is looked into once.
    fn resolve(&self, statement: &mut Statement, open: &mut Vec<String>) {
        match statement {
            Statement::Call(call) => call.runs = self.body(&call.procedure.name, open),
            Statement::Execute(execute) => {
                execute.runs = self.prepared.get(&execute.name).map(|prepared| {
                    let mut prepared = prepared.clone();
                    self.resolve(&mut prepared.statement, open);
                    vec![prepared]
                });
            }
            Statement::Query(query) => {
                let is_repeated = !query.reads.is_empty();
                for call in query.functions.iter().filter(|call| !call.is_keyword) {
                    let mut body = self.body(&call.name.name, open).unwrap_or_default();
                    body.iter_mut().for_each(|located| located.is_repeated |= is_repeated);
                    query.runs.append(&mut body);
                }
            }
            Statement::Do(block) => {
                block.body.statements.iter_mut().for_each(|inner| self.resolve(&mut inner.statement, open));
            }
            Statement::Explain(explain) => self.resolve(&mut explain.statement.statement, open),
            _ => {}
        }
    }

    fn body(&self, name: &str, open: &mut Vec<String>) -> Option<Vec<Located>> {
        let mut statements =
            self.functions.get(name).filter(|_| !open.iter().any(|one| one == name))?.clone();
        open.push(name.to_owned());
        statements.iter_mut().for_each(|located| self.resolve(&mut located.statement, open));
        open.pop();
        Some(statements)
    }
}
