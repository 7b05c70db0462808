//! Every key gives each row once, whatever its type and order; a table without a key is gone over by its pages.

use posthaste_report::Batches;

use crate::ground::{Ground, batches, options, plan};

/// 2,000 rows with these columns; every row is counted up once.
async fn check(columns: &str, values: &str, key: &[&str]) {
    let ground = Ground::with(&format!(
        "create table public.\"T one\" ({columns}, n int not null default 0);
         insert into public.\"T one\" select {values} from generate_series(1, 2000) as i;
         analyze"
    ))
    .await;
    let mut step = Batches::new("public", "T one", key.iter().map(|name| (*name).into()).collect());
    step.statements = vec!["update public.\"T one\" as x set n = x.n + 1 where {batch}".into()];
    step.alias = Some("x".into());
    step.rows = 100;
    let run = ground.done(&plan(vec![batches("fill", step)])).await;
    ground.check("select count(*) from \"T one\" where n = 1", 2000).await;
    let step = &run.steps[0];
    // A key that is not unique goes over some rows beyond those that it counts.
    assert!(step.visited <= 2000 && step.visited > 1500, "{}", step.visited);
    assert_eq!((step.rows, step.total), (2000, Some(2000)));
    assert!(step.batches >= 10, "{}", step.batches);
}

#[tokio::test]
async fn an_integer() {
    check("id int primary key", "i * 7 - 5000", &["id"]).await;
}

#[tokio::test]
async fn a_uuid() {
    check("id uuid primary key default gen_random_uuid()", "gen_random_uuid()", &["id"]).await;
}

#[tokio::test]
async fn a_text_with_its_own_order() {
    let odd = r#"case i % 5 when 0 then 'Ä' when 1 then 'a''b' when 2 then E'x\\y\n' when 3 then '' else '"' end || i"#;
    check("id text collate \"C\" primary key", odd, &["id"]).await;
    check("id text primary key", odd, &["id"]).await;
}

#[tokio::test]
async fn a_blank_padded_text_and_an_enum_like_domain() {
    check("id char(12) primary key", "'k' || i", &["id"]).await;
}

#[tokio::test]
async fn times_numbers_and_bytes() {
    check(
        "id timestamptz primary key",
        "'2026-03-29 00:00Z'::timestamptz + i * interval '1.000001 s'",
        &["id"],
    )
    .await;
    check("id numeric primary key", "i / 7.0", &["id"]).await;
    check("id double precision primary key", "sqrt(i)", &["id"]).await;
    check("id bytea primary key", "decode(md5(i::text), 'hex')", &["id"]).await;
}

#[tokio::test]
async fn several_columns_of_different_types() {
    let columns =
        "\"Region\" text not null, at date not null, id uuid not null, primary key (\"Region\", at, id)";
    let values = "'r' || i % 3, '2026-01-01'::date + i % 40, gen_random_uuid()";
    check(columns, values, &["Region", "at", "id"]).await;
    check(columns, values, &["Region", "at"]).await;
}

#[tokio::test]
async fn an_order_that_goes_down() {
    let ground = Ground::with(
        "create table t (a int not null, b int not null, n int not null default 0);
         create index on t (a desc, b desc);
         insert into t select i % 10, i from generate_series(1, 2000) as i",
    )
    .await;
    let mut step = Batches::new("public", "t", vec!["a".into(), "b".into()]);
    step.statements = vec!["update t set n = n + 1 where {batch}".into()];
    ground.done(&plan(vec![batches("fill", step)])).await;
    ground.check("select count(*) from t where n = 1", 2000).await;
}

#[tokio::test]
async fn a_partitioned_table_goes_by_its_key() {
    let ground = Ground::with(
        "create table t (at date, id int, n int not null default 0, primary key (at, id)) partition by range (at);
         create table t1 partition of t for values from ('2026-01-01') to ('2026-02-01');
         create table t2 partition of t for values from ('2026-02-01') to ('2026-03-01');
         insert into t select '2026-01-01'::date + i % 50, i from generate_series(1, 2000) as i;
         analyze",
    )
    .await;
    let mut step = Batches::new("public", "t", vec!["at".into(), "id".into()]);
    step.statements = vec!["update t set n = n + 1 where {batch}".into()];
    let run = ground.done(&plan(vec![batches("fill", step)])).await;
    ground.check("select count(*) from t where n = 1", 2000).await;
    assert_eq!(run.steps[0].total, Some(2000));
}

#[tokio::test]
async fn pages_where_there_is_no_key() {
    let ground = Ground::with(
        "create table t (a text, n int not null default 0);
         insert into t (a) select repeat('x', 100) from generate_series(1, 3000);
         delete from t where ctid >= '(5,0)' and ctid < '(9,0)'",
    )
    .await;
    let mut step = Batches::new("public", "t", Vec::new());
    step.statements = vec!["update t set n = 1 where {batch} and n = 0".into()];
    step.left = Some("select count(*) from t where n = 0".into());
    step.rows = 100;
    let mut options = options();
    options.pace.rows_max = 500;
    let plan = plan(vec![batches("fill", step)]);
    let run = posthaste_runner::run(ground.target(), &plan, options, |_| ()).await.expect("a run");
    ground.check("select count(*) from t where n = 0", 0).await;
    assert!(run.steps[0].batches >= 5, "{:?}", run.steps[0]);
    assert_eq!(run.steps[0].left, Some(0));
}
