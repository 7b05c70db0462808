//! Every form as a plan: none of its steps is dangerous by our own review, unless it has no online way.
//!
//! Not for: where plans end, which is proven on servers.

use posthaste_base::catalog::Catalog;
use posthaste_review::parse;
use posthaste_review::rollout::{RolloutOptions, rollout};

use crate::forms::Form;

#[derive(Default)]
pub(crate) struct Plans {
    pub(crate) made: usize,
    /// Forms of which the plan says that there is no way.
    pub(crate) without_way: usize,
    pub(crate) dangers: Vec<String>,
}

impl Plans {
    pub(crate) fn look(&mut self, name: &str, form: &Form, catalog: &Catalog, version: u32) {
        let options = RolloutOptions { title: name.to_owned(), version };
        let script = parse(&form.run);
        let made = rollout(&script, &form.run, catalog, &options);
        if !made.refusals.is_empty() {
            self.without_way += 1;
            return;
        }
        self.made += 1;
        let dangers = made.dangers.iter().map(|danger| format!("{name}: {} ({})", danger.step, danger.code));
        self.dangers.extend(dangers);
    }
}
