//! What is found, what is planned and what is done, as plain data, and the forms in which it is shown.
//!
//! A review, a check and a run speak this one language, so that every renderer serves all of them.
//! Not for: finding, planning or doing anything.

mod finding;
mod lock;
mod plan;
mod plan_form;
mod render;
mod run;

pub use finding::{
    Confidence, Effect, Evidence, Finding, Location, Object, Remedy, Report, Severity, Skipped, Target,
    VERSION,
};
pub use lock::{Lock, LockMode, Locked};
pub use plan::{Accepted, Action, BATCH, Batches, Estimate, Gate, Phase, Plan, Signal, Step, Watch};
pub use render::{Format, RenderOptions, RuleText, plan_markdown, render};
pub use run::{Blocker, Run, RunNote, RunState, RunStep, Runner, StepState};
