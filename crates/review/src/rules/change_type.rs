//! ALTER COLUMN ... TYPE where the table is rewritten, or read, or an index is built anew.

use posthaste_report::{Effect, Severity};

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::{Context, column_object, remedy, shown};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "change-type",
    title: "A column's type changes so that the table is rewritten, read, or indexed anew under ACCESS EXCLUSIVE",
    page: page!("change-type"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let (Action::SetType { column, type_name, .. }
        | Action::AlterAttribute { attribute: column, type_name, .. }) = clause.action()
        else {
            continue;
        };
        let effect = clause.part.effect();
        let from = ctx.column(&clause.table, column.as_str()).map(|known| known.type_name.clone());
        let from_text = from.as_deref().map_or_else(String::new, |from| format!(" from {from}"));
        if effect == Effect::None {
            note_for_clients(ctx, &clause, from.as_deref(), found);
            continue;
        }
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: clause.part,
            what: format!("changing {column}{from_text} to {}", type_name.canonical),
            remedy: "add a column of the new type, keep it by a trigger, fill it in batches, then swap the names in one brief \
                     transaction; `posthaste plan` writes these steps"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}

/// Changes that cost the server nothing may still surprise a client that keeps prepared statements.
fn note_for_clients(
    ctx: &Context<'_>,
    clause: &crate::context::Clause<'_>,
    from: Option<&str>,
    found: &mut Findings,
) {
    let Action::SetType { column, type_name, .. } = clause.action() else { return };
    let family = |name: &str| name.split('(').next().unwrap_or_default().to_owned();
    let changes_family = from.is_some_and(|from| family(from) != family(&type_name.canonical));
    if !changes_family || ctx.is_new(&clause.table) {
        return;
    }
    let message = format!(
        "{}.{column} becomes {}: instant, but clients that cached a plan see \"cached plan must not change result type\" \
         once",
        shown(&clause.table),
        type_name.canonical
    );
    let mut finding = ctx.finding_at(RULE.code, clause.span(), Severity::Info, message);
    finding.object = column_object(&clause.table, [column.as_str()]);
    finding.remedy = remedy("nothing, where the driver prepares again by itself");
    found.push(finding);
}
