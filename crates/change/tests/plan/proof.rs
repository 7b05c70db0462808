//! Plans end where their migrations end, and their undo leads back: on scratch copies of a schema, form by form.

use posthaste_base::catalog::Catalog;
use posthaste_change::plan::{Migration, Planned, plan};
use posthaste_change::scratch::run_script;
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Visit, VisitOptions};
use posthaste_review::rollout::compare;
use posthaste_testkit::db::{TestDb, Version, versions};

use crate::ground::Ground;

/// Tables with rows, so that what is done to them is somebody's outage.
const SHOP: &str = r#"
    create table customer (id bigint primary key, email text not null, name text, note varchar(40), constraint customer_email_set check (email <> ''));
    create index customer_name_idx on customer (name);
    create table "Order" (
        id uuid primary key default gen_random_uuid(),
        customer_id bigint,
        price integer not null default 0 check (price >= 0),
        status text,
        ordered_at timestamptz not null default now()
    );
    create index order_price_idx on "Order" (price desc, status);
    create table event (id bigint, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table event_2024 partition of event for values from ('2024-01-01 00:00Z') to ('2025-01-01 00:00Z');
    create table event_default partition of event default;
    create table event_2025 (id bigint not null, at timestamptz not null);
    create view expensive as select id from "Order" where status = 'expensive';
    alter table "Order" add constraint order_customer foreign key (customer_id) references customer (id);
    insert into customer select i, 'c' || i || '@example.com', 'name ' || i from generate_series(1, 100) as i;
    insert into "Order" (customer_id, price, status) select i, i, 'new' from generate_series(1, 100) as i;
    insert into event select i, '2024-06-01' from generate_series(1, 100) as i;
    insert into event values (1, '2030-01-01');
    create table account (id serial primary key, name text unique);
    create table payment (
        id int generated always as identity primary key,
        account_id int not null references account (id) on delete cascade,
        amount int check (amount > 0)
    );
    create index payment_account_idx on payment (account_id, amount);
    insert into account (name) select 'a' || i from generate_series(1, 100) as i;
    insert into payment (account_id, amount) select i, i from generate_series(1, 100) as i;
    insert into event_2025 select i, '2025-06-01' from generate_series(1, 100) as i;
    create table log (id int not null, kind int, note text) partition by list (kind);
    create table log_1 partition of log for values in (1) partition by range (id);
    create table log_1_low partition of log_1 for values from (0) to (1000);
    create table log_rest partition of log default;
    create index log_note_idx on log (note);
    create table log_1_high (id int not null, kind int, note text);
    create table log_2 (id int not null, kind int, note text) partition by range (id);
    create table log_2_low partition of log_2 for values from (0) to (1000);
    create table log_2_high partition of log_2 for values from (1000) to (2000);
    insert into log select i, 1, 'one' from generate_series(1, 100) as i;
    insert into log select i, 9, 'rest' from generate_series(1, 100) as i;
    insert into log_1_high select i, 1, 'high' from generate_series(1000, 1100) as i;
    insert into log_2 select i, 2, 'two' from generate_series(950, 1050) as i;
    create table visit (id int not null, customer_id bigint references customer (id)) partition by range (id);
    create table visit_low partition of visit for values from (0) to (1000);
    create table visit_high (id int not null, customer_id bigint);
    insert into visit select i, i from generate_series(1, 100) as i;
    insert into visit_high select i, 1 from generate_series(1000, 1100) as i;
    analyze;
"#;

/// What is wrong with a migration's plan, before a server is asked: what is not in it, what is dangerous, and where it
/// ends by the simulation.
fn problems(migration: &Migration, planned: &Planned, catalog: &Catalog) -> Vec<String> {
    let mut problems: Vec<String> = planned.refusals.iter().map(|refusal| format!("{refusal:?}")).collect();
    match compare(&migration.script, &planned.plan, catalog) {
        Ok(differences) => problems.extend(differences.iter().map(|one| format!("simulated: {one}"))),
        Err(why) => problems.push(format!("simulated: {why}")),
    }
    problems
}

/// Each migration alone: its plan is proven, and holds these steps in this order, as phases and first words.
async fn check(cases: &[(&str, &[&str])]) {
    for version in versions() {
        check_on(&version, cases).await;
    }
}

async fn check_on(version: &Version, cases: &[(&str, &[&str])]) {
    let ground = Ground::open(version, SHOP).await;
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let migration = Migration::parse("migration.sql", sql.as_bytes()).expect("valid SQL");
        let planned = plan(&migration, &ground.catalog, "migration", 15);
        let problems = problems(&migration, &planned, &ground.catalog);
        let steps: Vec<&str> = planned.plan.steps().map(|step| step.id.as_str()).collect();
        let phases: Vec<String> =
            steps.iter().map(|id| id.split('-').next().unwrap_or_default().to_owned()).collect();
        if !problems.is_empty() || phases != *expected {
            wrong.push(format!("{sql}\n  {steps:?} {problems:#?}"));
        }
        wrong.extend(ground.why_unproven(&migration, &planned).await.map(|why| format!("{sql}\n  {why}")));
    }
    ground.close().await;
    assert!(
        wrong.is_empty(),
        "PostgreSQL {}, {} of {}:\n{}",
        version.major,
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn what_is_dangerous_goes_its_own_way_and_ends_the_same() {
    check(&[
        ("create index on customer (email)", &["validate"]),
        ("create unique index customer_email on customer (lower(email)) where email <> ''", &["validate"]),
        (r#"create index on event (at)"#, &["validate"; 5]),
        ("drop index customer_name_idx", &["contract"]),
        ("alter table customer add constraint named check (name <> '')", &["validate", "validate"]),
        ("alter table customer add check (name <> '')", &["validate", "validate"]),
        (
            r#"alter table "Order" add foreign key (customer_id) references customer (id) on delete cascade"#,
            &["validate", "validate"],
        ),
        ("alter table customer add unique (email)", &["validate", "switch"]),
        (
            "alter table event_2025 add primary key (id, at) deferrable initially deferred",
            &["validate", "switch"],
        ),
        ("alter table customer alter name set not null", &["validate", "validate", "switch"]),
        (
            r#"alter table "Order" drop constraint order_customer;
               alter table "Order" add constraint order_customer foreign key (customer_id)
               references customer (id) on delete set null"#,
            &["validate", "validate", "switch", "switch"],
        ),
        ("alter table customer drop constraint customer_email_set", &["contract", "contract"]),
    ])
    .await;
}

#[tokio::test]
async fn columns_tables_and_partitions_go_their_own_way() {
    check(&[
        (
            "alter table customer add column token uuid default gen_random_uuid() not null",
            &["expand", "expand", "backfill", "validate", "validate", "switch"],
        ),
        (
            "alter table customer add column account_id int default 1 references account (id)",
            &["expand", "validate", "validate"],
        ),
        (
            "alter table customer add column age int check (age > 0) unique",
            &["expand", "validate", "validate", "validate", "switch"],
        ),
        (
            r#"alter table "Order" alter price type numeric(12, 2) using price / 100.0"#,
            &[
                "expand", "backfill", "validate", "validate", "validate", "validate", "validate", "switch", "contract",
                "contract",
            ],
        ),
        (
            "alter table customer alter note type integer using note::integer",
            &["expand", "backfill", "switch", "contract", "contract"],
        ),
        ("alter table customer rename to client", &["switch", "contract", "contract"]),
        ("alter table customer drop column note", &["contract", "contract"]),
        (
            "alter table event attach partition event_2025 for values from ('2025-01-01 00:00Z') to ('2026-01-01 00:00Z')",
            &["validate", "validate", "validate", "validate", "validate", "switch", "switch", "contract"],
        ),
        ("alter table event detach partition event_2024", &["contract"]),
    ])
    .await;
}

#[tokio::test]
async fn partitions_of_all_kinds_are_made_and_attached_without_a_scan() {
    check(&[
        (
            "create table event_2026 partition of event for values from ('2026-01-01 00:00Z') to ('2027-01-01 00:00Z')",
            &["expand", "validate", "validate", "switch", "contract"],
        ),
        (
            "create table log_3 partition of log for values in (3, 4)",
            &["expand", "validate", "validate", "switch", "contract"],
        ),
        (
            "create table log_5 partition of log for values in (5) partition by hash (id)",
            &["validate", "validate", "switch", "contract"],
        ),
        (
            "alter table log_1 attach partition log_1_high for values from (1000) to (2000)",
            &["validate", "validate", "validate", "switch", "contract"],
        ),
        (
            "alter table log attach partition log_2 for values in (2)",
            &[
                "validate", "validate", "validate", "validate", "validate", "validate", "validate", "validate", "validate",
                "switch", "contract",
            ],
        ),
        (
            "alter table visit attach partition visit_high for values from (1000) to (2000)",
            &["validate", "validate", "validate", "validate", "switch", "contract"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn statements_in_bodies_go_their_own_ways() {
    check(&[
        (
            "do $$ begin alter table customer add column age int; create index on customer (age); end $$",
            &["expand", "validate"],
        ),
        ("prepare away as delete from customer where name = 'y'; execute away", &["backfill"]),
    ])
    .await;
}

#[tokio::test]
async fn types_change_under_partitions_and_views() {
    check(&[
        (
            "alter table log alter note type varchar(20)",
            &[
                "expand", "backfill", "backfill", "validate", "validate", "validate", "validate", "validate", "validate",
                "validate", "switch", "contract", "contract",
            ],
        ),
        (
            r#"drop view expensive; alter table "Order" alter status type varchar(20);
               create view expensive as select id from "Order" where status = 'expensive';
               comment on view expensive is 'more than most'"#,
            &["expand", "backfill", "validate", "switch", "contract", "contract"],
        ),
        (
            r#"drop view expensive; create view expensive as select id, price from "Order" where price > 100"#,
            &["switch"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_plan_with_an_outage_is_whole_and_asks_a_person_first() {
    let db = TestDb::empty().await;
    run_script(&db.target, SHOP).await.expect("the shop");
    let visit = Visit::connect(&db.target, VisitOptions::named("test")).await.expect("a visit");
    let catalog = read(&visit, &CatalogOptions::default()).await.expect("the catalog");
    let sql = "alter table customer add column twice bigint generated always as (id * 2) stored, add column age int; \
               cluster customer using customer_pkey";
    let migration = Migration::parse("migration.sql", sql.as_bytes()).expect("valid SQL");
    let mut planned = plan(&migration, &catalog, "migration", 15);
    let steps: Vec<&str> = planned.refusals.iter().filter_map(|refusal| refusal.step.as_deref()).collect();
    assert_eq!(steps, ["expand-3", "expand-5"]);
    assert!(planned.is_whole());
    planned.prove(&migration, SHOP, None).await.expect("it runs");
    let proof = planned.proof.expect("it was proven");
    assert!(proof.holds(), "{proof:#?}");
    let mut plan = planned.plan;
    plan.gates.clear();
    let error = posthaste_runner::run(&db.target, &plan, Default::default(), |_| ())
        .await
        .expect_err("nobody said yes");
    assert!(error.to_string().contains("expand-2"), "{error}");
}

const KEY: &[&str] = &[
    "expand", "backfill", "validate", "validate", "validate", "validate", "validate", "switch", "switch",
    "switch", "contract", "contract",
];

#[tokio::test]
async fn keys_names_and_numbers_of_old_rows_have_their_way() {
    check(&[
        ("alter table account alter id type bigint", KEY),
        (
            "alter table account alter id type bigint; alter table payment alter account_id type bigint",
            &[
                "expand", "expand", "backfill", "backfill", "validate", "validate", "validate", "validate",
                "validate", "validate", "validate", "validate", "switch", "switch", "switch", "switch",
                "switch", "switch", "contract", "contract", "contract", "contract",
            ],
        ),
        (
            "alter table payment alter id type bigint",
            &[
                "expand", "backfill", "validate", "validate", "validate", "switch", "switch", "switch",
                "contract", "contract",
            ],
        ),
        ("alter table payment alter account_id type bigint", KEY),
        (
            "alter table account alter name type varchar(80)",
            &["expand", "backfill", "validate", "switch", "contract", "contract"],
        ),
        (
            "alter table customer rename name to title",
            &["expand", "backfill", "validate", "contract", "contract"],
        ),
        (
            "alter table customer add column number bigserial",
            &["expand", "backfill", "validate", "validate", "switch"],
        ),
        (
            r#"alter table "Order" add column number int generated by default as identity unique"#,
            &["expand", "backfill", "validate", "validate", "validate", "switch", "switch", "switch"],
        ),
        (
            "alter table event_2025 add column number bigint generated always as identity primary key",
            &["expand", "backfill", "validate", "validate", "validate", "switch", "switch", "switch"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_harmless_stays_as_it_was_written() {
    check(&[
        (
            "alter table customer add column a int, add column b text default 'x' not null, alter name set default ''",
            &["expand"],
        ),
        ("create table fresh (id int primary key, customer_id bigint references customer (id))", &["expand"]),
        ("create table fresh (id int); create index on fresh (id); alter table fresh add check (id > 0)", &["expand"; 3]),
        ("alter table customer alter note type varchar(80)", &["expand"]),
        ("create type mood as enum ('good'); comment on table customer is 'buys'", &["expand"; 2]),
        ("update customer set name = 'x' where id = 1; delete from customer where id = 100", &["backfill"; 2]),
    ])
    .await;
}

#[tokio::test]
async fn what_goes_up_and_down_and_up_again_is_compared_each_time() {
    let scratch = posthaste_change::scratch::Scratch::start(None).await.expect("a scratch server");
    let schema = scratch.load("create table t (id int primary key, a text)").await.expect("the schema");
    let parse = |sql: &str| Migration::parse("migration.sql", sql.as_bytes()).expect("valid SQL").script;
    let up = parse("alter table t add column b int not null default 0; create index t_b on t (b)");
    let whole = parse("drop index t_b; alter table t drop column b");
    let found = posthaste_change::prove::round_trip(&scratch, &schema, &up, &whole).await.expect("it runs");
    assert_eq!(found, []);
    let lossy = parse("alter table t drop column b; alter table t drop column a");
    let found = posthaste_change::prove::round_trip(&scratch, &schema, &up, &lossy).await.expect("it runs");
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["column public.t.a is missing", "column public.t.a is missing"]);
    scratch.remove().await.expect("it stops");
}
