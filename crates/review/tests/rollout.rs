//! The plan of a real migration, with a catalog of 2.5 million users, without a server.

use std::path::Path;

use posthaste_base::catalog::Catalog;
use posthaste_report::{Action, Effect, Plan, Step, plan_markdown};
use posthaste_review::parse;
use posthaste_review::rollout::{Rollout, RolloutOptions, compare, rollout};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    std::fs::read_to_string(path).expect(name)
}

fn catalog() -> Catalog {
    Catalog::from_json(&read("catalog.json")).expect("the catalog")
}

fn planned(sql: &str) -> Rollout {
    let options = RolloutOptions { title: "User recommendations".into(), version: 15 };
    rollout(&parse(sql), sql, &catalog(), &options)
}

fn step<'a>(plan: &'a Plan, words: &str) -> &'a Step {
    let mut found = plan.steps().filter(|step| step.title.contains(words));
    found.next().unwrap_or_else(|| panic!("no step says `{words}`: {:#?}", titles(plan)))
}

fn titles(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| format!("{}: {}", step.id, step.title)).collect()
}

#[test]
fn the_sample_becomes_a_plan_that_disturbs_nobody() {
    let text = read("migration.sql");
    let made = planned(&text);
    println!("{}", plan_markdown(&made.plan));
    assert_eq!(made.refusals, []);
    assert_eq!(made.dangers, []);
    let ends = compare(&parse(&text), &made.plan, &catalog()).expect("it can be carried out");
    assert_eq!(ends, [], "it ends where the migration ends");
    assert!(made.plan.notes.iter().any(|note| note.contains("SET NULL")), "{:#?}", made.plan.notes);
    let backfill = made.plan.steps().find(|step| matches!(step.action, Action::Batches(_)));
    assert!(backfill.is_some(), "{:#?}", titles(&made.plan));
}

#[test]
fn a_step_is_measured_on_what_the_steps_before_it_leave() {
    let made = planned("alter table users alter first_name set not null");
    let set = step(&made.plan, "forbid NULL in users.first_name");
    assert_eq!(set.effect, Effect::None, "the check was validated by then");
    let made = planned("create table fresh (id int); create index on fresh (id);");
    assert!(made.plan.steps().all(|step| step.estimate.is_none() && step.effect == Effect::None));
}

#[test]
fn what_breaks_clients_has_a_person_before_it_and_its_reason() {
    let made = planned("alter table users drop column last_name");
    let dropped = step(&made.plan, "take users.last_name away");
    let [accepted] = dropped.accepted.as_slice() else { panic!("{:#?}", dropped.accepted) };
    assert_eq!(accepted.code, "drop-column");
    assert!(accepted.because.contains("contract-1"), "{}", accepted.because);
    let made = planned("alter table users enable row level security");
    let plan = &made.plan;
    let [asked, enabled] = plan.phases[0].steps.as_slice() else { panic!("{:#?}", titles(plan)) };
    assert!(matches!(asked.action, Action::Manual { .. }));
    assert_eq!((asked.id.as_str(), enabled.accepted.len()), ("expand-1-ready", 1));
    assert_eq!(Plan::from_toml(&plan.to_toml().expect("a file")).expect("a plan"), *plan);
}

#[test]
fn what_has_no_way_is_dangerous_and_no_plan() {
    let made = planned("do $$ begin alter table user_job_matches alter score type text; end $$");
    assert!(made.dangers.iter().all(|danger| danger.step == "expand-1"), "{:#?}", made.dangers);
    assert!(!made.dangers.is_empty(), "{:#?}", made.plan);
}
