//! REFRESH MATERIALIZED VIEW that is not CONCURRENTLY.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, named_object, remedy, shown};
use crate::severity::size;
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    code: "refresh-materialized-view",
    title: "A materialized view is refreshed while its readers wait",
    page: page!("refresh-materialized-view"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::Refresh(refresh) = ctx.statement() else { return };
    let view = ctx.name(&refresh.view);
    if refresh.is_concurrent || refresh.with_no_data || ctx.is_new(&view) {
        return;
    }
    let known = ctx.relation(&view);
    // What it takes is the view's query, which nobody measured; the size of its last result is what is known.
    let bytes = known.map(|view| view.size.bytes + view.size.toast_bytes);
    let severity = match bytes {
        Some(bytes) if bytes < 1 << 20 => Severity::Low,
        Some(bytes) if bytes < 1 << 30 => Severity::Medium,
        _ => Severity::High,
    };
    let of_size = bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
    let message = format!("readers of {}{of_size} wait until its query has run", shown(&view));
    let mut finding = ctx.finding(RULE.code, severity, message);
    finding.confidence = finding.confidence.max(Confidence::Likely);
    finding.depends_on.push("how long the view's query runs".to_owned());
    finding.object = named_object("materialized-view", &view);
    let has_unique = known
        .is_some_and(|view| view.indexes.iter().any(|index| index.is_unique && index.predicate.is_none()));
    finding.remedy = remedy(if has_unique || known.is_none() {
        "use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index over all rows"
    } else {
        "make a unique index over all rows, then use REFRESH MATERIALIZED VIEW CONCURRENTLY"
    });
    found.push(finding);
}
