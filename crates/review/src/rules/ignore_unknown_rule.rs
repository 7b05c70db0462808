//! Ignores of rules that there are not.

use super::{Check, Rule, page};

pub(super) const RULE: Rule = Rule {
    code: "ignore-unknown-rule",
    title: "An ignore names a rule that there is not",
    page: page!("ignore-unknown-rule"),
    check: Check::Ignores,
};
