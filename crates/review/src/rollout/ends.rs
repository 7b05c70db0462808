//! Where a migration and its plan end, without a server: both are carried out on the catalog, and compared.
//!
//! Not for: what only a server knows, such as the columns of a view; a proof on scratch copies says that.

use posthaste_base::catalog::Catalog;
use posthaste_report::{Action, Plan};

use super::measure;
use crate::difference::{Difference, difference};
use crate::script::Script;
use crate::simulate::{apply, comparable};
use crate::{parse, statement::Located};

/// Where the plan's end is not the migration's. The error is a statement that cannot be carried out on the catalog.
pub fn compare(script: &Script, plan: &Plan, catalog: &Catalog) -> Result<Vec<Difference>, String> {
    let (mut wanted, mut reached) = (catalog.clone(), catalog.clone());
    carry_out(&mut wanted, &script.statements)?;
    for step in plan.steps().filter(|step| !matches!(step.action, Action::Check { .. })) {
        for text in measure::statements(step) {
            carry_out(&mut reached, &parse(&text).statements)
                .map_err(|why| format!("step {}: {why}", step.id))?;
        }
    }
    Ok(difference(&comparable(&wanted), &comparable(&reached)))
}

fn carry_out(catalog: &mut Catalog, statements: &[Located]) -> Result<(), String> {
    statements.iter().try_for_each(|located| {
        apply(catalog, &located.statement).map_err(|why| format!("line {}: {why}", located.line))
    })
}
