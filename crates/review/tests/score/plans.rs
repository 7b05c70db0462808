//! Every form as a plan: a step that is dangerous by our own review says so, with its reason and its cost.
//!
//! Not for: where plans end, which is proven on servers.

use posthaste_base::catalog::Catalog;
use posthaste_review::parse;
use posthaste_review::rollout::{NO_ONLINE_WAY, RolloutOptions, rollout};

use crate::forms::Form;

#[derive(Default)]
pub(crate) struct Plans {
    pub(crate) made: usize,
    /// Forms with a step that stops others and says so, with why.
    pub(crate) outages: Vec<String>,
    /// Forms that no plan can hold, with what the user is to do.
    pub(crate) left_out: Vec<String>,
}

impl Plans {
    pub(crate) fn look(&mut self, name: &str, form: &Form, catalog: &Catalog, version: u32) {
        let options = RolloutOptions { title: name.to_owned(), version };
        let script = parse(&form.run);
        let made = rollout(&script, &form.run, catalog, &options);
        self.made += 1;
        for refusal in &made.refusals {
            let line = format!("{name}: {}", refusal.why);
            let Some(id) = &refusal.step else {
                self.left_out.push(line);
                continue;
            };
            let step = made.plan.steps().find(|step| step.id == *id).expect("the step is in the plan");
            let says_so = step.accepted.iter().any(|accepted| accepted.code == NO_ONLINE_WAY);
            assert!(says_so && refusal.outage.bytes.is_some(), "{name}: {refusal:?}");
            self.outages.push(line);
        }
    }
}
