//! Statements of a file that need each other keep their order in its plan, or the plan says that it cannot hold them.

use posthaste_base::catalog::{Catalog, Dependent, Extension, Index, IndexKey, Name, Server, Size};
use posthaste_report::Action;
use posthaste_review::parse;
use posthaste_review::rollout::{Rollout, RolloutOptions, rollout};
use posthaste_review::simulate::apply_all;

const SHOP: &str = "
    create table customer (id int primary key, email text not null, code int, note varchar(40));
    create view paying as select id, code, note from customer;
    create view paying_well as select id from customer;
    create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger touched before update on customer for each row execute function touch();
    create table log (id int not null, kind int) partition by list (kind);
    create table log_rest partition of log default;
";

fn shop() -> Catalog {
    let mut catalog = Catalog {
        search_path: vec!["public".into()],
        schemas: vec!["public".into()],
        server: Server { version_num: 150_000, ..Server::default() },
        extensions: vec![Extension { name: "postgis".into(), ..Extension::default() }],
        ..Catalog::default()
    };
    let script = parse(SHOP);
    apply_all(&mut catalog, script.statements.iter().map(|located| &located.statement)).expect("the shop");
    for relation in &mut catalog.relations {
        relation.size = Size { rows: Some(1_000_000), bytes: 1 << 30, toast_bytes: 0 };
    }
    let customer = catalog.relations.iter_mut().find(|one| one.name.name == "customer").expect("customer");
    let reads = |name: &str, columns: &[&str]| Dependent {
        kind: "view".into(),
        name: Name::new("public", name),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
    };
    customer.dependents = vec![reads("paying", &["id", "code", "note"]), reads("paying_well", &["id"])];
    catalog
}

fn planned_on(catalog: &Catalog, sql: &str) -> Rollout {
    let options = RolloutOptions { title: "order".into(), version: 15 };
    rollout(&parse(sql), sql, catalog, &options)
}

fn planned(sql: &str) -> Rollout {
    planned_on(&shop(), sql)
}

/// What a person is asked, and what is done, step by step.
fn lines(made: &Rollout) -> Vec<String> {
    let line = |step: &posthaste_report::Step| match &step.action {
        Action::Transaction { statements } => format!("{}: {}", step.id, statements.join("; ")),
        Action::Alone { statement, .. } => format!("{}: {statement}", step.id),
        Action::Manual { .. } => format!("{}: ask", step.id),
        Action::Check { .. } => format!("{}: check", step.id),
        Action::Batches(_) => format!("{}: batches", step.id),
    };
    made.plan.steps().map(line).collect()
}

/// The steps that name one of the words.
fn check(sql: &str, words: &str, expected: &[&str]) {
    let made = planned(sql);
    let whys: Vec<_> = made.refusals.iter().map(|refusal| (&refusal.step, &refusal.why)).collect();
    assert!(whys.is_empty(), "{sql}: {whys:#?}");
    let found: Vec<String> = lines(&made).into_iter().filter(|line| line.contains(words)).collect();
    assert_eq!(found, expected, "{sql}\n{:#?}", lines(&made));
}

/// A statement that is not in the plan, and why.
fn check_refused(catalog: &Catalog, sql: &str, why: &str) {
    let made = planned_on(catalog, sql);
    let found = made.refusals.iter().any(|refusal| refusal.step.is_none() && refusal.why.contains(why));
    let whys: Vec<_> = made.refusals.iter().map(|refusal| (&refusal.step, &refusal.why)).collect();
    assert!(found, "{sql}: {whys:#?}\n{:#?}", lines(&made));
}

#[test]
fn what_is_said_of_a_view_that_comes_back_is_said_of_the_new_one() {
    check(
        "drop view paying; drop view paying_well; create view paying as select id from customer; \
         grant select on paying to app; create view paying_well as select id from customer",
        "paying",
        &[
            "switch-1: drop view paying; drop view paying_well; create view paying as select id from customer; \
           grant select on paying to app; create view paying_well as select id from customer",
        ],
    );
    check(
        "drop view paying; create view paying as select id from customer; alter view paying owner to app; \
         comment on view paying is 'x'; create view above as select id from paying; grant select on above to app",
        "paying",
        &["switch-1: drop view paying; create view paying as select id from customer; \
           alter view paying owner to app; comment on view paying is 'x'; \
           create view above as select id from paying; grant select on above to app"],
    );
    check(
        "drop view paying; create view paying as select id from customer; \
         create materialized view seen as select id from paying; create index on seen (id)",
        "seen",
        &[
            "switch-2: create materialized view seen as select id from paying",
            "switch-3: create index on seen (id)",
        ],
    );
}

#[test]
fn what_is_dropped_and_made_again_goes_in_that_order() {
    check(
        "drop trigger if exists touched on customer; \
         create trigger touched before insert on customer for each row execute function touch()",
        "touched",
        &["expand-1: drop trigger if exists touched on customer; \
           create trigger touched before insert on customer for each row execute function touch()"],
    );
    check(
        "drop policy if exists own on customer; create policy own on customer using (true)",
        "own",
        &["expand-1: drop policy if exists own on customer; create policy own on customer using (true)"],
    );
    check(
        "drop function if exists f(int); create function f(n integer) returns int language sql as 'select 1'; \
         comment on function f is 'x'",
        "f",
        &[
            "expand-1: drop function if exists f(int); \
             create function f(n integer) returns int language sql as 'select 1'",
            "expand-2: comment on function f is 'x'",
        ],
    );
    check(
        "create function f(n text) returns int language sql as 'select 1'; drop function if exists f(int)",
        "f(",
        &[
            "expand-1: create function f(n text) returns int language sql as 'select 1'",
            "contract-1: drop function if exists f(int)",
        ],
    );
    for create in [
        "create view paying as select id from customer",
        "create or replace view paying as select id from customer",
    ] {
        check(
            &format!("drop view if exists paying cascade; {create}"),
            "paying",
            &[&format!("switch-1: drop view if exists paying cascade; {create}")],
        );
        check(
            &format!("drop view if exists fresh cascade; {}", create.replace("paying", "fresh")),
            "fresh",
            &[&format!("expand-1: drop view if exists fresh cascade; {}", create.replace("paying", "fresh"))],
        );
    }
}

#[test]
fn a_step_that_must_fail_is_no_outage() {
    let mut catalog = shop();
    let again = "drop view paying; {} ; create view paying as select id, code, note from customer";
    check_refused(
        &catalog,
        &again.replace(
            "{}",
            "alter table customer alter code type bigint, alter note type text using note || 'x'",
        ),
        "a file of its own",
    );
    check_refused(&catalog, "alter table customer alter code type bigint", "the view paying reads code");
    check(
        "drop view paying; create view paying as select id from customer; \
         create view above as select id from paying",
        "above",
        &["switch-1: drop view paying; create view paying as select id from customer; \
           create view above as select id from paying"],
    );
    check_refused(&catalog, "create table customer (id int)", "is there already");
    check_refused(
        &catalog,
        "drop view paying; create materialized view seen as select id from paying; \
         create view paying as select id from customer",
        "write it after that one",
    );
    // No successor can stand in for a column of an expression: an outage, with the views around it.
    let customer = catalog.relations.iter_mut().find(|one| one.name.name == "customer").expect("customer");
    customer.indexes.push(Index {
        name: Name::new("public", "customer_code_idx"),
        method: "btree".into(),
        is_valid: true,
        is_ready: true,
        keys: vec![IndexKey { expression: Some("abs(code)".into()), ..IndexKey::default() }],
        ..Index::default()
    });
    let made = planned_on(&catalog, &again.replace("{}", "alter table customer alter code type bigint"));
    let changed: Vec<String> = lines(&made).into_iter().filter(|line| line.contains("paying")).collect();
    assert_eq!(
        changed,
        ["expand-2: drop view paying; alter table customer alter code type bigint; \
          create view paying as select id, code, note from customer"],
        "{:#?}",
        made.refusals
    );
    assert_eq!(made.refusals.len(), 1);
}

#[test]
fn a_change_that_costs_nothing_takes_the_views_along() {
    check(
        "drop view paying; alter table customer alter note type text; \
         create view paying as select id, code, note from customer",
        "paying",
        &["switch-1: drop view paying; alter table customer alter note type text; \
           create view paying as select id, code, note from customer"],
    );
}

#[test]
fn a_question_about_one_statement_is_no_answer_for_another() {
    let made = planned(
        "vacuum full log_rest; create rule quiet as on insert to customer do instead nothing; \
         alter table customer enable row level security",
    );
    let of = |words: &str| {
        let step = made.plan.steps().find(|step| {
            matches!(&step.action, Action::Transaction { statements } if statements[0].contains(words))
        });
        let accepted =
            step.and_then(|step| step.accepted.first().map(|one| (step.id.clone(), one.because.clone())));
        let (id, because) = accepted.unwrap_or_else(|| panic!("{words}: {:#?}", lines(&made)));
        assert!(because.contains(&format!("{id}-ready")), "{id}: {because}");
    };
    of("create rule");
    of("enable row level security");
}

#[test]
fn an_extension_that_is_there_does_not_go_without_a_question() {
    check("drop extension postgis", "", &["contract-1-ready: ask", "contract-1: drop extension postgis"]);
}

#[test]
fn a_table_that_goes_and_comes_back_has_a_person_before_it() {
    check(
        "drop table if exists log_rest; create table log_rest (id int); create index on log_rest (id)",
        "",
        &[
            "expand-1-ready: ask",
            "expand-1: drop table if exists log_rest; create table log_rest (id int)",
            "expand-2: create index on log_rest (id)",
        ],
    );
}

#[test]
fn an_index_that_goes_and_comes_back_is_built_beside_the_old_one() {
    let mut catalog = shop();
    let script = parse("create index code_idx on customer (code)");
    apply_all(&mut catalog, script.statements.iter().map(|located| &located.statement)).expect("an index");
    let made = planned_on(&catalog, "drop index code_idx; create index code_idx on customer (code, note)");
    assert!(made.refusals.is_empty(), "{:#?}", made.refusals);
    assert_eq!(
        lines(&made),
        [
            "validate-1: create index concurrently code_idx_new on public.customer (code, note)",
            "switch-1: alter index public.code_idx rename to code_idx_old; \
             alter index public.code_idx_new rename to code_idx",
            "contract-1: drop index concurrently public.code_idx_old",
        ]
    );
    let again =
        planned_on(&catalog, "drop index code_idx; create index if not exists code_idx on customer (note)");
    assert!(again.refusals.is_empty() && lines(&again).len() == 3, "{:#?}", lines(&again));
    check_refused(
        &catalog,
        "drop index code_idx; create table fresh (id int); create index if not exists code_idx on fresh (id)",
        "is dropped last",
    );
}

#[test]
fn an_index_of_a_partition_that_belongs_to_none_keeps_its_name() {
    let mut catalog = shop();
    let script = parse(
        "create table part (id int, note int) partition by range (id);
         create table part_1 partition of part for values from (0) to (100) partition by range (id);
         create table part_1_a partition of part_1 for values from (0) to (10);
         create index note_idx on only part (note);
         create index own_idx on part_1_a (id);",
    );
    apply_all(&mut catalog, script.statements.iter().map(|located| &located.statement)).expect("partitions");
    let made = planned_on(&catalog, "alter table part alter note type bigint");
    assert!(made.refusals.is_empty(), "{:#?}", made.refusals);
    let all = lines(&made).join("\n");
    assert!(all.contains("note_idx_old") && !all.contains("own_idx"), "{all}");
}

#[test]
fn what_was_prepared_leaves_nothing_behind() {
    check("prepare away as delete from customer where id = 1; execute away; deallocate away", "away", &[]);
    check("deallocate all", "", &[]);
}

#[test]
fn names_at_their_limit_do_not_meet() {
    let long = "c".repeat(63);
    let mut catalog = shop();
    let script = parse(&format!(
        "create table book ({long} int, price_new int, price int constraint {0}_k check (price > 0)); \
         create index {1} on book ({long}); create index price_idx on book (price)",
        "k".repeat(61),
        "i".repeat(63),
    ));
    apply_all(&mut catalog, script.statements.iter().map(|located| &located.statement)).expect("a book");
    let made = planned_on(
        &catalog,
        &format!("alter table book alter {long} type bigint; alter table book alter price type bigint"),
    );
    assert!(made.refusals.is_empty(), "{:#?}", made.refusals);
    let all = lines(&made).join("\n");
    let words = all.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let too_long: Vec<&str> = words.filter(|word| word.len() > 63).collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
    assert!(all.contains("price_new1"), "{all}");
}

#[test]
fn what_the_switch_makes_is_named_after_it() {
    check(
        "create table log_1 partition of log for values in (1) partition by hash (id); \
         create table log_1_a partition of log_1 for values with (modulus 1, remainder 0); \
         grant select on log_1 to app; comment on table log_1_a is 'x'",
        "log_1",
        &[
            "switch-1: create table log_1 partition of log for values in (1) partition by hash (id)",
            "switch-2: create table log_1_a partition of log_1 for values with (modulus 1, remainder 0)",
            "switch-3: grant select on log_1 to app",
            "switch-4: comment on table log_1_a is 'x'",
        ],
    );
}
