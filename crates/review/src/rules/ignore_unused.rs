//! Ignores that ignore nothing.

use super::{Check, Rule, page};

pub(super) const RULE: Rule = Rule {
    code: "ignore-unused",
    title: "An ignore ignores nothing",
    page: page!("ignore-unused"),
    check: Check::Ignores,
};
