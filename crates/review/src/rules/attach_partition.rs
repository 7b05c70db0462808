//! ATTACH PARTITION where the partition must be read to prove its bound.

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::{Context, shown};
use crate::statement::Action;

pub(super) const RULE: Rule = Rule {
    code: "attach-partition",
    title: "ATTACH PARTITION reads the whole partition under ACCESS EXCLUSIVE, unless a CHECK proves its bound",
    page: page!("attach-partition"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for clause in ctx.clauses() {
        let Action::AttachPartition { partition, .. } = clause.action() else { continue };
        let partition = ctx.name(partition);
        // Its own partitions are read as well; the default partition beside it has a rule of its own.
        let mut part = clause.part.clone();
        part.works.retain(|(table, _)| {
            let is_default = ctx
                .relation(table)
                .and_then(|relation| relation.partition.as_ref())
                .is_some_and(|p| p.is_default);
            *table == partition || (*table != clause.table && !is_default)
        });
        let about = Blocking {
            code: RULE.code,
            span: clause.span(),
            part: &part,
            what: format!("attaching {} to {}", shown(&partition), shown(&clause.table)),
            remedy: "add a CHECK with the partition's bound (and IS NOT NULL for its key) as NOT VALID, VALIDATE it, attach \
                     (which is brief then), and drop the CHECK"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
