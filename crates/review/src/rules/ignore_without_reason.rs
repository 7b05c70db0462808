//! Ignores without a reason.

use super::{Check, Rule, page};

pub(super) const RULE: Rule = Rule {
    code: "ignore-without-reason",
    title: "An ignore has no reason, or is not complete, and does not count",
    page: page!("ignore-without-reason"),
    check: Check::Ignores,
};
