//! The plan of a real migration, with a catalog of 2.5 million users, without a server.

#[path = "rollout/order.rs"]
mod order;

use std::path::Path;

use posthaste_base::catalog::Catalog;
use posthaste_report::{Action, Effect, Plan, Step, plan_markdown};
use posthaste_review::config::Options;
use posthaste_review::rollout::{Rollout, RolloutOptions, compare, rollout};
use posthaste_review::{File, parse, review};

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
fn what_has_no_way_is_a_step_that_says_so_behind_a_persons_word() {
    let made = planned(
        "do $$ begin if true then alter table user_job_matches alter score type text; end if; end $$",
    );
    let [refusal] = made.refusals.as_slice() else { panic!("{:#?}", made.refusals) };
    assert_eq!(refusal.step.as_deref(), Some("expand-2"));
    let locks: Vec<String> =
        refusal.outage.locks.iter().map(|lock| format!("{:?} {}", lock.on, lock.mode)).collect();
    assert_eq!(locks[0], r#"Table("user_job_matches") ACCESS EXCLUSIVE"#);
    assert!(refusal.outage.bytes.is_some_and(|bytes| bytes > 0) && refusal.outage.seconds.is_some());
    let [asked, outage] = made.plan.phases[0].steps.as_slice() else { panic!("{:#?}", titles(&made.plan)) };
    assert!(matches!(&asked.action, Action::Manual { about } if about.contains("nobody reads or writes it")));
    assert_eq!(outage.accepted[0].code, "no-online-way");
    assert!(made.plan.notes.iter().any(|note| note.contains("no online way")), "{:#?}", made.plan.notes);
}

#[test]
fn what_has_a_way_only_by_itself_says_so() {
    let mut catalog = catalog();
    let subscriptions = catalog.relations.iter_mut().find(|one| one.name.name == "subscriptions").unwrap();
    subscriptions.columns[0].identity = None;
    let options = RolloutOptions { title: "Numbers".into(), version: 15 };
    let planned = |sql: &str| rollout(&parse(sql), sql, &catalog, &options);
    let grow = "alter table subscriptions alter column id type numeric";
    assert_eq!(planned(grow).refusals, []);
    let made = planned(&format!(
        "{grow}; alter table job_applications add constraint paid foreign key (id) references subscriptions (id)"
    ));
    let [refusal] = made.refusals.as_slice() else { panic!("{:#?}", made.refusals) };
    assert!(refusal.why.starts_with("it has a way as a migration of its own"), "{}", refusal.why);
}

#[test]
fn what_fails_on_the_rows_that_are_there_is_left_out_with_what_is_needed() {
    let made = planned("alter table users add column code text not null, add column other text");
    let [refusal] = made.refusals.as_slice() else { panic!("{:#?}", made.refusals) };
    assert_eq!(refusal.step, None);
    assert!(refusal.why.contains("Give it a default"), "{}", refusal.why);
    assert_eq!(titles(&made.plan).len(), 1, "the other column stays: {:#?}", titles(&made.plan));
}

/// The codes of what a review says of the file, where it is grave.
fn reviewed(sql: &str) -> Vec<String> {
    let file = File { path: "1.sql".to_owned(), text: sql.to_owned(), ..File::default() };
    let report = review(&[file], Some(&catalog()), &Options::default(), &[]).report(None);
    report.findings.into_iter().map(|finding| finding.code).collect()
}

const BUILDS: &str = "language plpgsql as $$ begin create index seen on users (first_name); end $$;";

#[test]
fn what_a_function_of_the_file_does_counts_where_it_is_called() {
    for sql in [
        format!("create function f() returns void {BUILDS} select f()"),
        format!("create procedure p() {BUILDS} call p()"),
        format!("create function f() returns void {BUILDS} do $$ begin perform f(); end $$"),
        "prepare q as delete from users; execute q".to_owned(),
    ] {
        let codes = reviewed(&sql);
        let is_found =
            ["create-index", "bulk-delete"].iter().any(|code| codes.iter().any(|known| known == code));
        assert!(is_found, "{sql}: {codes:?}");
        assert!(!codes.iter().any(|code| code == "dynamic-sql"), "{sql}: {codes:?}");
    }
    let uncalled = reviewed(&format!("create function f() returns void {BUILDS}"));
    assert!(!uncalled.iter().any(|code| code == "create-index"), "{uncalled:?}");
    assert!(reviewed("execute elsewhere").iter().any(|code| code == "dynamic-sql"));
    let endless =
        "create function f() returns void language plpgsql as $$ begin perform f(); end $$; select f()";
    assert!(!reviewed(endless).iter().any(|code| code == "create-index"));
}

#[test]
fn a_call_that_stops_others_is_an_outage_with_its_locks() {
    let made = planned(&format!("create function f() returns void {BUILDS} select f()"));
    let [refusal] = made.refusals.as_slice() else { panic!("{:#?}", made.refusals) };
    let locks: Vec<String> =
        refusal.outage.locks.iter().map(|lock| format!("{:?} {}", lock.on, lock.mode)).collect();
    assert_eq!(locks, [r#"Table("users") SHARE"#]);
    let made = planned("prepare q as delete from users where first_name = 'x'; execute q");
    assert_eq!(made.refusals, []);
    assert!(
        made.plan.steps().any(|step| matches!(step.action, Action::Batches(_))),
        "{:#?}",
        titles(&made.plan)
    );
}
