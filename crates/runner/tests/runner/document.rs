//! The page on plans shows a plan that can be read and run.

use posthaste_report::{Plan, RunState};

use crate::ground::{Ground, options};

const PAGE: &str = include_str!("../../../../docs/running-plans.md");

#[tokio::test]
async fn the_plan_on_the_page_can_be_run() {
    let text =
        PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a plan on the page");
    let plan = Plan::from_toml(text).unwrap_or_else(|error| panic!("{error}"));
    let ground = Ground::with(
        "create table users (id bigint primary key, name text);
         insert into users select i, 'n' || i from generate_series(1, 3000) as i; analyze",
    )
    .await;
    let mut options = options();
    options.overrides.insert("database".into(), "a copy".into());
    options.approvals.insert("read-by-a-second-person".into());
    options.approvals.insert("deploy".into());
    options.backup_at = Some(jiff::Timestamp::now());
    let run = posthaste_runner::run(ground.target(), &plan, options, |_| ()).await;
    let run = run.unwrap_or_else(|error| panic!("{error}: {:?}", error.cause()));
    assert_eq!(run.state, RunState::Done);
    ground.check("select count(*) from users where full_name is distinct from name", 0).await;
}
