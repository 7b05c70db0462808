//! A rewrite or a bulk write where replicas must follow.

use posthaste_report::{Confidence, Severity};

use super::{Check, Findings, Rule, page};
use crate::context::{Context, evidence, remedy, shown, table_object};
use crate::severity::{Work, duration, size, to_f64};

pub(super) const RULE: Rule = Rule {
    code: "rewrite-under-replicas",
    title: "A table is written anew at once, and the replicas fall behind by as much",
    page: page!("rewrite-under-replicas"),
    check: Check::Statement(check),
};

/// WAL that takes the replicas less than this, at the pace of a rewrite, is not felt.
const FELT_S: f64 = 10.0;

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Some(server) = ctx.server().filter(|server| !server.replicas.is_empty()) else { return };
    let rewritten = ctx.facts.whole.works.iter().filter(|(_, work)| *work == Work::Rewrite);
    for (table, _) in rewritten {
        let Some(bytes) = ctx.volume(table).bytes(Work::Rewrite).filter(|_| !ctx.is_harmless(table)) else {
            continue;
        };
        let rate = server.rewrite_bytes_per_s.unwrap_or(ctx.thresholds().rewrite_bytes_per_s);
        let seconds = to_f64(bytes) / to_f64(rate);
        if seconds < FELT_S {
            continue;
        }
        let severity = if seconds > 300.0 { Severity::High } else { Severity::Medium };
        let message = format!(
            "about {} of WAL at once: {} replicas replay it one record after the other, and are behind by up to {}",
            size(bytes),
            server.replicas.len(),
            duration(seconds)
        );
        let mut finding = ctx.finding(RULE.code, severity, message);
        finding.confidence = finding.confidence.max(Confidence::Likely);
        finding.object = table_object(table);
        for replica in server.replicas.iter().filter(|replica| replica.lag_bytes.is_some_and(|lag| lag > 0)) {
            let lag = replica.lag_bytes.unwrap_or(0);
            finding.evidence.push(evidence(format!("{} is {} behind already", replica.name, size(lag))));
        }
        finding.remedy = remedy(format!("copy {} in batches that follow the replicas' lag", shown(table)));
        found.push(finding);
    }
}
