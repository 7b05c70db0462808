//! A new partition beside a default partition: the default one is read whole.

use posthaste_report::Effect;

use super::{Blocking, Check, Findings, Rule, blocking, page};
use crate::context::{Context, shown};
use crate::facts::Part;
use crate::statement::{Action, Span, Statement};

pub(super) const RULE: Rule = Rule {
    code: "default-partition-scan",
    title: "A new partition makes PostgreSQL read the whole default partition under ACCESS EXCLUSIVE",
    page: page!("default-partition-scan"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    if let Statement::CreateTable(create) = ctx.statement()
        && create.partition_of.is_some()
    {
        report(ctx, ctx.located.span, &ctx.facts.whole, found);
    }
    for clause in ctx.clauses() {
        if matches!(clause.action(), Action::AttachPartition { .. }) {
            report(ctx, clause.span(), clause.part, found);
        }
    }
}

fn report(ctx: &Context<'_>, span: Span, part: &Part, found: &mut Findings) {
    for (table, _) in part.works.iter().filter(|(_, work)| work.effect() == Effect::Scan) {
        let is_default = |relation: &posthaste_base::catalog::Relation| {
            relation.partition.as_ref().is_some_and(|partition| partition.is_default)
        };
        if !ctx.relation(table).is_some_and(is_default) {
            continue;
        }
        let mut only = part.clone();
        only.works.retain(|(known, _)| known == table);
        let about = Blocking {
            code: RULE.code,
            span,
            part: &only,
            what: format!("looking whether the default partition {} has rows for the new one", shown(table)),
            remedy: "add a CHECK to the default partition that excludes the new bound, as NOT VALID, VALIDATE it, then \
                     add the partition, then drop the CHECK; keep the default partition empty"
                .to_owned(),
        };
        blocking(ctx, &about, found);
    }
}
