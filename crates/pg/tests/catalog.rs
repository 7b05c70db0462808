//! A catalog says what is there, on every version, also to a weak role and beside a lock queue.

use std::time::Duration;

use posthaste_base::catalog::{Catalog, ConstraintKind, Index, Name, Relation, RelationKind, TypeKind};
use posthaste_pg::catalog::{self, CatalogOptions};
use posthaste_pg::{Connection, Target, Visit, VisitOptions};
use posthaste_testkit::db::{self, TestDb};

const SCHEMA: &str = include_str!("catalog/schema.sql");

async fn prepared(version: &db::Version) -> (TestDb, Connection) {
    let test = TestDb::empty_on(version).await;
    let session = test.pool.get().await.expect("a connection");
    session.batch_execute(SCHEMA).await.expect("the schema");
    (test, session)
}

async fn read(target: &Target) -> Catalog {
    let visit = Visit::connect(target, VisitOptions::default().read_only()).await.expect("a visit");
    catalog::read(&visit, &CatalogOptions::default()).await.expect("a catalog")
}

fn relation<'a>(catalog: &'a Catalog, schema: &str, name: &str) -> &'a Relation {
    catalog.relation(Some(schema), name).unwrap_or_else(|| panic!("{schema}.{name}"))
}

fn index<'a>(catalog: &'a Catalog, name: &str) -> &'a Index {
    catalog.index(Some("public"), name).unwrap_or_else(|| panic!("{name}")).1
}

#[tokio::test]
async fn a_catalog_says_what_is_there_on_every_version() {
    for version in db::versions() {
        let (test, session) = prepared(&version).await;
        session
            .batch_execute("analyze; select nextval('orders_id_seq') from generate_series(1, 7)")
            .await
            .expect("use");
        let catalog = read(&test.target).await;
        println!("on {}", version.major);
        assert_eq!(catalog.unread, Vec::<String>::new());
        assert_eq!(catalog.server.major(), version.major);
        assert_eq!(catalog.server.database, test.target.database());
        assert_eq!(catalog.search_path, ["public"]);
        assert_eq!(catalog.schemas, ["Sales", "public"]);
        assert_eq!(catalog.server.settings["lock_timeout"], "0", "a session's own, and not the visit's");
        assert_eq!(catalog.server.settings["work_mem"], "4096kB");
        check_tables(&catalog);
        check_constraints(&catalog, version.major);
        check_indexes(&catalog, version.major);
        check_rest(&catalog, version.major);
        let again = Catalog::from_json(&catalog.to_json().expect("json")).expect("the same");
        assert_eq!(format!("{again:?}"), format!("{catalog:?}"));
    }
}

fn check_tables(catalog: &Catalog) {
    let orders = relation(catalog, "public", "orders");
    let columns: Vec<String> = orders
        .columns
        .iter()
        .map(|c| {
            let flags = [
                c.is_not_null.then(|| "not null".to_owned()),
                c.default.as_ref().map(|text| format!("default {text}")),
                c.generated.as_ref().map(|kind| format!("generated {kind}")),
                c.identity.as_ref().map(|kind| format!("identity {kind}")),
                c.collation.as_ref().map(|name| format!("collate {name}")),
            ];
            let flags: Vec<String> = flags.into_iter().flatten().collect();
            format!("{} {} {}", c.number, c.name, [vec![c.type_name.clone()], flags].concat().join(", "))
        })
        .collect();
    assert_eq!(
        columns,
        [
            "1 id bigint, not null, identity a",
            "2 customer_id integer, not null",
            "4 total numeric(10,2), not null, default 0",
            "5 with_tax numeric, default (total * 1.2), generated s",
            "6 mood public.mood, default 'fine'::public.mood",
            "7 zip public.zip",
            "8 note character varying(40), collate C",
            "9 made_at timestamp with time zone, default now()",
            "10 serial_no integer, not null, default nextval('public.orders_serial_no_seq'::regclass)",
        ]
    );
    assert_eq!(orders.columns[4].type_ref, Name::new("public", "mood"));
    assert_eq!(orders.columns[6].type_modifier, 44);
    assert_eq!(orders.size.rows, Some(100));
    assert!(orders.size.bytes > 0);
    assert_eq!(orders.columns[6].null_fraction, Some(0.5));
    assert!(orders.columns[0].distinct.is_some() && orders.columns[0].width_bytes == Some(8));
    assert_eq!(orders.options["fillfactor"], "70");
    assert_eq!(orders.replica_identity, "d");
    assert_eq!(orders.statistics, ["orders_stats"]);
    assert_eq!(orders.rules, ["no_delete"]);
    assert!(orders.has_row_security && !orders.forces_row_security);
    assert_eq!(orders.policies, ["mine"]);
    let trigger = orders.triggers.iter().find(|t| !t.is_internal).expect("a trigger");
    assert_eq!((trigger.name.as_str(), trigger.enabled.as_str()), ("touch", "D"));
    assert_eq!(trigger.function, Name::new("public", "touched"));
    let dependents: Vec<String> = orders
        .dependents
        .iter()
        .map(|d| format!("{} {} {}", d.kind, d.name.quoted(), d.columns.join(",")))
        .collect();
    assert_eq!(
        dependents,
        [
            "materialized-view public.by_mood mood",
            "policy public.mine customer_id",
            "trigger public.touch total",
            "view \"Sales\".\"Big Orders\" id,total",
        ]
    );
    let odd = relation(catalog, "Sales", "It's \"odd\"\nname");
    assert_eq!(odd.columns[0].name, "Größe 💥");
    assert!(odd.is_unlogged);
    assert_eq!(odd.name.quoted(), "\"Sales\".\"It's \"\"odd\"\"\nname\"");
    let view = relation(catalog, "Sales", "Big Orders");
    assert_eq!((view.kind, view.columns.len()), (RelationKind::View, 2));
    assert_eq!(relation(catalog, "public", "by_mood").kind, RelationKind::MaterializedView);
    assert_eq!(relation(catalog, "public", "address").kind, RelationKind::Composite);

    let events = relation(catalog, "public", "events");
    assert_eq!(events.kind, RelationKind::PartitionedTable);
    let key = events.partition_key.as_ref().expect("a key");
    assert_eq!((key.strategy.as_str(), key.columns.as_slice()), ("range", ["at".to_owned()].as_slice()));
    assert_eq!(key.definition, "RANGE (at)");
    let parts: Vec<&str> = catalog.children(&events.name).map(|r| r.name.name.as_str()).collect();
    assert_eq!(parts, ["events_2026", "events_rest"]);
    let part = relation(catalog, "public", "events_2026").partition.as_ref().expect("a partition");
    assert_eq!(part.parent, events.name);
    assert_eq!(part.bound, "FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')");
    assert!(relation(catalog, "public", "events_rest").partition.as_ref().is_some_and(|p| p.is_default));
    let heir = relation(catalog, "public", "special_customers");
    assert_eq!(heir.parents, [Name::new("public", "customers")]);
    assert!(heir.partition.is_none());
}

fn check_constraints(catalog: &Catalog, major: u32) {
    let orders = relation(catalog, "public", "orders");
    let kinds = [ConstraintKind::NotNull, ConstraintKind::Trigger];
    let shown: Vec<String> = orders
        .constraints
        .iter()
        .filter(|c| !kinds.contains(&c.kind))
        .map(|c| {
            let flags = [(!c.is_validated, "not valid"), (c.is_deferrable, "deferrable")];
            let flags: String = flags.iter().filter(|f| f.0).map(|f| format!(", {}", f.1)).collect();
            format!("{} ({}): {}{flags}", c.name, c.columns.join(","), c.definition)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "orders_customer_fk (customer_id): FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON UPDATE \
             CASCADE ON DELETE SET NULL DEFERRABLE, deferrable",
            "orders_note_check (note): CHECK (((note)::text <> ''::text)) NOT VALID, not valid",
            "orders_pkey (id): PRIMARY KEY (id)",
            "orders_serial_no_key (serial_no): UNIQUE (serial_no)",
        ]
    );
    assert!(orders.constraints.iter().all(|c| c.is_enforced));
    let key = orders.constraints.iter().find(|c| c.kind == ConstraintKind::ForeignKey).expect("a key");
    let reference = key.references.as_ref().expect("a reference");
    assert_eq!(
        (reference.table.name.as_str(), reference.columns.as_slice()),
        ("customers", ["id".to_owned()].as_slice())
    );
    assert_eq!((reference.on_delete.as_str(), reference.on_update.as_str()), ("n", "c"));
    assert!(key.index.is_none());
    let primary = orders.constraints.iter().find(|c| c.kind == ConstraintKind::PrimaryKey).expect("a key");
    assert_eq!(primary.index, Some(Name::new("public", "orders_pkey")));
    let rooms = relation(catalog, "public", "rooms");
    let exclusion = rooms.constraints.iter().find(|c| c.kind == ConstraintKind::Exclusion).expect("one");
    assert_eq!(exclusion.definition, "EXCLUDE USING gist (during WITH &&)");
    let not_null = orders.constraints.iter().filter(|c| c.kind == ConstraintKind::NotNull).count();
    assert_eq!(not_null, if major >= 18 { 4 } else { 0 });
    let heir = relation(catalog, "public", "special_customers");
    assert!(heir.constraints.iter().any(|c| c.kind == ConstraintKind::Check && c.is_inherited));
}

fn check_indexes(catalog: &Catalog, major: u32) {
    let mixed = index(catalog, "orders_mixed");
    let keys: Vec<String> = mixed
        .keys
        .iter()
        .map(|k| {
            let what = k.column.clone().or_else(|| k.expression.as_ref().map(|e| format!("<{e}>")));
            let order = if k.is_descending { "desc" } else { "asc" };
            let nulls = if k.is_nulls_first { "first" } else { "last" };
            let collation = k.collation.as_ref().map(|c| format!(" collate {c}")).unwrap_or_default();
            format!("{} {} {order} {nulls}{collation}", what.unwrap_or_default(), k.opclass)
        })
        .collect();
    assert_eq!(
        keys,
        [
            "customer_id int4_ops desc first",
            "<lower((note)::text)> text_ops asc last collate C",
            "<(total + 1.5)> numeric_ops asc first",
            "note varchar_pattern_ops asc last collate C",
        ]
    );
    assert_eq!(mixed.include, ["made_at"]);
    assert_eq!(mixed.predicate.as_deref(), Some("(total > (0)::numeric)"));
    assert!(mixed.is_valid && mixed.is_ready && !mixed.is_unique && mixed.has_predicate);
    let pkey = index(catalog, "orders_pkey");
    assert!(pkey.is_primary && pkey.is_unique && pkey.is_immediate && !pkey.has_predicate);
    assert_eq!(pkey.constraint.as_deref(), Some("orders_pkey"));
    assert!(pkey.size.bytes > 0);
    let parent = index(catalog, "events_at_idx");
    assert!(parent.is_partitioned);
    assert_eq!(index(catalog, "events_2026_at_idx").parent, Some(parent.name.clone()));
    assert!(index(catalog, "customers_name").scans.is_some());
    if major >= 15 {
        assert!(index(catalog, "rooms_door").nulls_not_distinct);
    }
    assert!(index(catalog, "rooms_during_excl").is_exclusion);
}

fn check_rest(catalog: &Catalog, major: u32) {
    let named =
        |name: &str| catalog.types.iter().find(|t| t.name.name == name).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(named("mood").labels, ["sad", "fine", "it's"]);
    let zip = named("zip");
    assert_eq!(
        (zip.kind, zip.base.as_deref(), zip.is_not_null),
        (TypeKind::Domain, Some("character varying(9)"), true)
    );
    let checks: Vec<_> = zip.checks.iter().filter(|c| c.kind == ConstraintKind::Check).collect();
    assert_eq!(checks[0].definition, "CHECK (((VALUE)::text ~ '^\\d+$'::text))");
    assert_eq!((named("address").kind, named("span").kind), (TypeKind::Composite, TypeKind::Range));
    assert!(catalog.types.iter().all(|t| !t.name.name.starts_with('_')), "no arrays");

    let functions = |schema: &str, name: &str| -> Vec<_> {
        catalog.functions.iter().filter(|f| f.name == Name::new(schema, name)).collect()
    };
    let touched = functions("public", "touched")[0];
    assert_eq!((touched.volatility.as_str(), touched.language.as_str()), ("v", "plpgsql"));
    assert!(touched.body.as_ref().is_some_and(|body| body.contains("return new")));
    let half = functions("public", "half")[0];
    assert_eq!(
        (half.arguments.as_slice(), half.returns.as_str()),
        (["numeric".to_owned()].as_slice(), "numeric")
    );
    assert_eq!(half.volatility, "i");
    assert_eq!(functions("pg_catalog", "now")[0].volatility, "s");
    assert_eq!(functions("pg_catalog", "random")[0].volatility, "v");
    assert!(functions("pg_catalog", "lower").iter().all(|f| f.body.is_none()));

    let sequence = |name: &str| {
        catalog.sequences.iter().find(|s| s.name.name == name).unwrap_or_else(|| panic!("{name}"))
    };
    let ids = sequence("orders_id_seq");
    assert_eq!((ids.last_value, ids.is_last_value_known), (Some(107), true));
    assert_eq!((ids.table.clone(), ids.column.as_deref()), (Some(Name::new("public", "orders")), Some("id")));
    let lonely = sequence("lonely");
    assert_eq!((lonely.last_value, lonely.maximum, lonely.increment, lonely.cycles), (None, 90, 5, true));
    assert!(lonely.is_last_value_known && lonely.table.is_none());

    let publication =
        |name: &str| catalog.publications.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("{name}"));
    assert!(publication("everything").all_tables);
    let tables = ["customers", "orders", "special_customers"].map(|name| Name::new("public", name));
    assert_eq!(publication("some_of_it").tables, tables);
    if major >= 15 {
        assert_eq!(publication("sales").tables, [Name::new("Sales", "It's \"odd\"\nname")]);
    }
    assert!(catalog.extensions.iter().any(|e| e.name == "plpgsql"));
}

#[tokio::test]
async fn a_catalog_is_read_beside_a_lock_queue_on_every_version() {
    for version in db::versions() {
        let (test, _session) = prepared(&version).await;
        let idle = test.pool.get().await.expect("a connection");
        idle.batch_execute("create table fresh as select 1 as n").await.expect("a table");
        idle.batch_execute("begin; select from orders limit 1; lock fresh")
            .await
            .expect("an open transaction");
        let altering = test.pool.get().await.expect("a connection");
        let alter = tokio::spawn(async move {
            let _ = altering.batch_execute("alter table orders add z int").await;
        });
        let waiting = "select from pg_locks where relation = 'orders'::regclass and not granted";
        let probe = test.pool.get().await.expect("a connection");
        while probe.query_opt(waiting, &[]).await.expect("locks").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let options = VisitOptions { lock_timeout_ms: 50, ..VisitOptions::default() };
        let visit = Visit::connect(&test.target, options).await.expect("a visit");
        let catalog = catalog::read(&visit, &CatalogOptions::default()).await.expect("a catalog");
        assert_eq!(catalog.unread.len(), 3, "{:?}", catalog.unread);
        let parts =
            ["expressions of public.fresh", "expressions of public.orders", "the size of public.fresh"];
        for (unread, part) in catalog.unread.iter().zip(parts) {
            assert!(unread.contains(part), "{unread}");
        }
        let orders = relation(&catalog, "public", "orders");
        assert_eq!(orders.columns.len(), 9);
        assert_eq!(orders.columns[2].default.as_deref(), Some("0"));
        let key = orders.constraints.iter().find(|c| c.kind == ConstraintKind::ForeignKey).expect("a key");
        assert!(key.definition.starts_with("FOREIGN KEY"));
        let check = orders.constraints.iter().find(|c| c.kind == ConstraintKind::Check).expect("a check");
        assert_eq!(
            (check.definition.as_str(), check.columns.as_slice()),
            ("", ["note".to_owned()].as_slice())
        );
        let mixed = index(&catalog, "orders_mixed");
        assert_eq!((mixed.keys[1].expression.as_deref(), mixed.has_predicate), (Some(""), true));
        let rooms = relation(&catalog, "public", "rooms");
        assert!(rooms.constraints.iter().any(|c| c.definition.starts_with("EXCLUDE")), "others are whole");
        assert!(catalog.server.longest_transaction_ms.is_some());
        idle.batch_execute("rollback").await.expect("to end");
        alter.await.expect("the alter");
    }
}

#[tokio::test]
async fn a_weak_role_reads_what_it_may_and_hears_what_it_may_not() {
    for version in db::versions() {
        let (test, session) = prepared(&version).await;
        let role = format!("weak_{}", test.target.database());
        let statements =
            format!("create role {role} login; analyze; revoke all on schema public from public");
        session.batch_execute(&statements).await.expect("a role");
        let target = test.target.clone().with_settings(&[("role", &role)]);
        let catalog = read(&target).await;
        let orders = relation(&catalog, "public", "orders");
        assert_eq!((orders.columns.len(), orders.constraints.is_empty()), (9, false));
        assert_eq!(orders.columns[6].null_fraction, None);
        assert_eq!(catalog.server.longest_transaction_ms, None, "another session may be older");
        assert!(catalog.server.connections.is_some());
        assert!(catalog.sequences.iter().all(|s| !s.is_last_value_known));
        let unread = catalog.unread.join("\n");
        for part in ["age of open transactions", "planner's statistics of", "last values of"] {
            assert!(unread.contains(part), "{part}: {unread}");
        }
        session.batch_execute(&format!("grant pg_monitor to {role}")).await.expect("a grant");
        let catalog = read(&target).await;
        assert!(catalog.server.longest_transaction_ms.is_some());
        session.batch_execute(&format!("drop role {role}")).await.expect("to drop the role");
    }
}

#[tokio::test]
async fn a_table_that_was_never_counted_is_measured() {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    let fill = "create table t (id int primary key); insert into t select generate_series(1, 5000);
                create table empty (id int)";
    session.batch_execute(fill).await.expect("a table");
    let catalog = read(&test.target).await;
    let table = relation(&catalog, "public", "t");
    assert_eq!(table.size.rows, None);
    assert!(table.size.bytes > 100_000, "{:?}", table.size);
    assert!(index(&catalog, "t_pkey").size.bytes > 50_000);
    assert_eq!(relation(&catalog, "public", "empty").size.bytes, 0);
}

#[tokio::test]
async fn writes_are_counted_while_they_are_watched() {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    session.batch_execute("create table busy (id int); create table idle (id int)").await.expect("tables");
    let visit = Visit::connect(&test.target, VisitOptions::default()).await.expect("a visit");
    let options = CatalogOptions { watch_ms: 1_500, ..CatalogOptions::default() };
    let write = async {
        for _ in 0..20 {
            session.batch_execute("insert into busy select generate_series(1, 100)").await.expect("rows");
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        // A session reports what it wrote when it has been idle for a moment.
        session.batch_execute("select pg_stat_force_next_flush()").await.expect("a flush");
    };
    let (catalog, ()) = tokio::join!(catalog::read(&visit, &options), write);
    let catalog = catalog.expect("a catalog");
    let rate = |name: &str| relation(&catalog, "public", name).activity.writes_per_s;
    assert!(rate("busy").is_some_and(|rate| rate > 100.0), "{:?}", rate("busy"));
    assert_eq!(rate("idle"), Some(0.0));
    assert!(catalog.server.wal_bytes_per_s.is_some_and(|bytes| bytes > 0));
}

#[tokio::test]
async fn a_scan_is_measured_on_a_part_of_the_largest_table() {
    let test = TestDb::empty().await;
    let session = test.pool.get().await.expect("a connection");
    let fill = "create table \"Big\" (t text); insert into \"Big\" select repeat('x', 1000) from generate_series(1, 16000);
                create table small (id int); analyze";
    session.batch_execute(fill).await.expect("a table");
    let visit = Visit::connect(&test.target, VisitOptions::default()).await.expect("a visit");
    let measured = catalog::calibrate(&visit, 8 << 20, Duration::from_secs(60)).await.expect("an answer");
    let measured = measured.expect("a measurement");
    assert_eq!(measured.table, Name::new("public", "Big"));
    assert_eq!(measured.bytes, 8 << 20);
    assert!(measured.bytes_per_s() > 0);
    session.batch_execute("truncate \"Big\"; analyze").await.expect("to empty it");
    let measured = catalog::calibrate(&visit, 8 << 20, Duration::from_secs(60)).await.expect("an answer");
    assert_eq!(measured, None, "nothing is large enough");
}
