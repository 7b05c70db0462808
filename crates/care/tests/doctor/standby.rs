//! A streaming standby: every check answers or says why not, and the primary knows of it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use posthaste_care::doctor::{Diagnosis, Options, checks};
use posthaste_pg::Target;
use posthaste_pg::local::{Cluster, LocalOptions};
use posthaste_report::Severity;
use posthaste_testkit::db::{DurableServer, Version, default_version};

use super::worst_hour::as_user;
use super::{SETTINGS, connect, database, diagnosed, run, server_on, shown};

const SCHEMA: &str = "
    create extension pg_stat_statements;
    create extension amcheck;
    create extension pgstattuple;
    create table parent (at date not null, id bigint not null, primary key (at, id)) partition by range (at);
    create table part partition of parent for values from ('2025-01-01') to ('2999-01-01');
    create table child (id serial primary key, at date, parent_id bigint, foreign key (at, parent_id) references parent (at, id));
    create unlogged table scratch (id serial primary key, note text);
    insert into parent select '2025-02-01', n from generate_series(1, 2000) as n;
    insert into child (at, parent_id) select at, id from parent;
    create role watcher login in role pg_monitor;

-- next
    analyze;";

#[tokio::test]
async fn a_standby_answers_every_check_or_says_why_not() {
    let version = default_version();
    let primary = server_on(&version).await;
    let target = database(&primary, "shop", SCHEMA).await;
    let standby = standby_of(&primary, &version).await;
    let postmaster = standby.start().await.expect("the standby to start");
    let there = postmaster.target().clone().with_database("shop");
    until_streaming(&target).await;

    let of_owner = diagnosed(&there, &Options::default()).await;
    let of_watcher = diagnosed(&as_user(&there, "watcher"), &Options::default()).await;
    let of_primary = diagnosed(&target, &Options::default()).await;
    // Before anything is said against it, so that no server outlives a failure.
    standby.remove().await.expect("to remove the standby");
    primary.remove().await;

    let line = |diagnosis: &Diagnosis, wanted: &str| {
        let found = diagnosis.lines.iter().find(|(code, _)| *code == wanted);
        found.map(|(_, line)| line.clone()).unwrap_or_default()
    };
    for (name, diagnosis) in [("standby", of_owner), ("standby, pg_monitor alone", of_watcher)] {
        whole(name, &diagnosis);
        let said = line(&diagnosis, "replica-health");
        assert!(!said.is_empty() && !said.contains("is a primary"), "{name}: {said}");
    }
    whole("primary", &of_primary);
    let said = line(&of_primary, "replication-lag");
    assert!(!said.is_empty() && !said.contains("no standby"), "{said}");
}

/// No check is silent, none failed, and nothing bad is said of what is well.
fn whole(name: &str, diagnosis: &Diagnosis) {
    let report = &diagnosis.report;
    for check in checks() {
        let is_made = diagnosis.lines.iter().any(|(code, _)| *code == check.code);
        assert!(is_made || report.skipped.iter().any(|one| one.what == check.code), "{name}: {}", check.code);
    }
    let failed: Vec<_> = report
        .skipped
        .iter()
        .filter(|one| one.why.contains("SQLSTATE") || one.why.contains("form"))
        .collect();
    assert!(failed.is_empty(), "{name}: {failed:#?}");
    let bad: Vec<String> =
        report.findings.iter().filter(|one| one.severity.is_at_least(Severity::High)).map(shown).collect();
    assert!(bad.is_empty(), "{name}: {bad:#?}");
}

/// A copy of the primary by `pg_basebackup`, which streams from it.
async fn standby_of(primary: &DurableServer, version: &Version) -> Cluster {
    let session = connect(&primary.target).await;
    let row = session
        .query_one(
            "select current_setting('data_directory'), current_setting('unix_socket_directories'), current_setting('port')",
            &[],
        )
        .await
        .expect("where it is");
    let (data, socket, port): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let access = Path::new(&data).join("pg_hba.conf");
    let known = std::fs::read_to_string(&access).expect("who may connect");
    std::fs::write(&access, format!("local replication all peer map=posthaste\n{known}"))
        .expect("to let it in");
    run(&session, "select pg_reload_conf()").await;

    let folder = std::env::temp_dir().join(format!("posthaste-standby-{}", std::process::id()));
    let mut options = LocalOptions::in_folder(&folder);
    options.bin = Some(version.bin.clone());
    options.version = Some(version.major);
    options.settings = SETTINGS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let cluster = Cluster::open(options).expect("a folder for the standby");
    let copy = cluster.data_folder();
    let program = version.bin.join("pg_basebackup");
    let address = format!("host={socket} port={port} user=postgres");
    // A server that was just told to read who may connect may need a moment.
    let mut tries = 0..50;
    while let Err(why) = copied(&program, &address, &copy) {
        assert!(tries.next().is_some(), "pg_basebackup does not succeed: {why}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let owner = std::fs::metadata(&data).expect("an owner");
    let owner = format!("{}:{}", owner.uid(), owner.gid());
    let status = Command::new("chown").args(["-R", &owner]).arg(&copy).status().expect("chown");
    assert!(status.success());
    cluster
}

fn copied(program: &Path, address: &str, copy: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(copy);
    let mut backup = Command::new(program);
    backup.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--dbname", address, "--pgdata"]);
    let output = backup.arg(copy).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

async fn until_streaming(primary: &Target) {
    let session = connect(primary).await;
    let query =
        "select exists (select from pg_stat_replication where state = 'streaming' and replay_lsn = sent_lsn)";
    for _ in 0..1_000 {
        if session.query_one(query, &[]).await.expect("standbys").get::<_, bool>(0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no standby streams");
}
