//! `posthaste catalog`: what a database has, as a file for reviews elsewhere: names, types and sizes, and no data.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use posthaste_base::catalog::{Catalog as Data, RelationKind, Size};
use posthaste_base::{Code, Error};
use posthaste_pg::Visit;
use posthaste_pg::catalog::{self, CatalogOptions, calibrate};
use serde::Serialize;

use crate::ask::talk;
use crate::output::{self, Format, Output};
use crate::visit::{Address, Visited, glance};

/// Write a database's catalog to a file, or look at one: export, show.
#[derive(Subcommand, Debug)]
pub(crate) enum Catalog {
    Export(Export),
    Show(Show),
}

/// Write names, types, sizes and counters of a database as JSON, for reviews without access to it. No row is read.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste catalog export --database postgresql://app@db/shop \\\n    \
    --out catalog.json\n  \
    posthaste review migrations/ --catalog catalog.json")]
pub(crate) struct Export {
    #[command(flatten)]
    visited: Visited,
    #[command(flatten)]
    how: How,
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Print what a catalog holds: the server, how many of what, the largest tables, and what could not be read.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste catalog show catalog.json\n  \
    posthaste catalog show --database postgresql://app@db/shop --format json")]
pub(crate) struct Show {
    /// A file that `catalog export` wrote.
    #[arg(value_name = "FILE", conflicts_with = "database")]
    file: Option<PathBuf>,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Clone, Copy, Debug)]
struct How {
    /// Read a bounded part of the largest table, to tell how quickly this server reads.
    #[arg(long)]
    calibrate: bool,
    /// Watch the counters for so long, to tell how much is written in a second.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=600))]
    watch_s: u32,
}

/// What a calibration reads at most, and for how long.
const CALIBRATION_BYTES: u64 = 256 << 20;
const CALIBRATION_TIME: Duration = Duration::from_secs(3);

impl Catalog {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Catalog::Export(command) => command.run().await?,
            Catalog::Show(command) => command.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    async fn run(self) -> anyhow::Result<()> {
        let visit = self.visited.read_only("catalog").await?;
        let catalog = read(&visit, self.how).await?;
        visit.close().await;
        for unread in &catalog.unread {
            talk(&format!("not read: {unread}"));
        }
        let text = catalog.to_json()?;
        match &self.out {
            None => output::text(&text),
            Some(path) => {
                write(path, &text)?;
                let count = output::counted(catalog.relations.len() as u64, "relation");
                talk(&format!("{count} of {} in {}", catalog.server.database, path.display()));
                Ok(())
            }
        }
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let catalog = match &self.file {
            Some(path) => load(path)?,
            None => read(&glance(&self.address.target()?, "catalog").await?, self.how).await?,
        };
        let summary = Summary::of(&catalog);
        if self.output.format == Format::Json {
            return self.output.one("catalog", &summary);
        }
        output::text(&summary.human())
    }
}

/// A catalog's file, as every command reads it.
pub(crate) fn load(path: &Path) -> Result<Data, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string())
    })?;
    Data::from_json(&text).map_err(|error| {
        let field = match error.field_name() {
            Some(field) => format!("{}: {field}", path.display()),
            None => path.display().to_string(),
        };
        error.field(field)
    })
}

async fn read(visit: &Visit, how: How) -> Result<Data, Error> {
    let options = CatalogOptions { watch_ms: how.watch_s * 1_000, ..CatalogOptions::default() };
    let mut data = catalog::read(visit, &options).await?;
    if how.calibrate {
        match calibrate(visit, CALIBRATION_BYTES, CALIBRATION_TIME).await? {
            None => talk("not calibrated: there is no table large enough that this role may read in part"),
            Some(measured) => {
                data.server.scan_bytes_per_s = Some(measured.bytes_per_s());
                talk(&format!(
                    "read {} of {} in {:.2} s",
                    bytes(measured.bytes),
                    measured.table.quoted(),
                    measured.elapsed.as_secs_f64()
                ));
            }
        }
    }
    Ok(data)
}

/// A reader never sees half of it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, path)).map_err(|error| {
        Error::new(Code::InvalidFile, error.to_string())
            .field(path.display().to_string())
            .expected("a file that can be written")
    })
}

#[derive(Serialize)]
struct Summary {
    database: String,
    server_version: String,
    read_at: Option<String>,
    is_replica: bool,
    connections: Option<u32>,
    connections_max: Option<u32>,
    longest_transaction_ms: Option<u64>,
    scan_bytes_per_s: Option<u64>,
    wal_bytes_per_s: Option<u64>,
    replicas: usize,
    tables: usize,
    partitions: usize,
    views: usize,
    indexes: usize,
    constraints: usize,
    types: usize,
    functions: usize,
    sequences: usize,
    bytes: u64,
    largest: Vec<Table>,
    unread: Vec<String>,
}

#[derive(Serialize)]
struct Table {
    name: String,
    rows: Option<u64>,
    bytes: u64,
    index_bytes: u64,
    writes_per_s: Option<f64>,
}

impl Summary {
    fn of(catalog: &Data) -> Self {
        let server = &catalog.server;
        let has =
            |kinds: &[RelationKind]| catalog.relations.iter().filter(|r| kinds.contains(&r.kind)).count();
        let of_all = |count: fn(&posthaste_base::catalog::Relation) -> usize| {
            catalog.relations.iter().map(count).sum::<usize>()
        };
        let mut tables: Vec<Table> = catalog.relations.iter().map(Table::of).collect();
        let bytes = tables.iter().map(|table| table.bytes + table.index_bytes).sum();
        tables.sort_by_key(|table| Reverse(table.bytes + table.index_bytes));
        tables.truncate(10);
        tables.retain(|table| table.bytes > 0);
        Self {
            database: server.database.clone(),
            server_version: version(server.version_num),
            read_at: server.read_at.map(|time| format!("{time:.0}")),
            is_replica: server.is_replica,
            connections: server.connections,
            connections_max: server.connections_max,
            longest_transaction_ms: server.longest_transaction_ms,
            scan_bytes_per_s: server.scan_bytes_per_s,
            wal_bytes_per_s: server.wal_bytes_per_s,
            replicas: server.replicas.len(),
            tables: has(&[RelationKind::Table, RelationKind::PartitionedTable, RelationKind::ForeignTable]),
            partitions: catalog.relations.iter().filter(|relation| relation.partition.is_some()).count(),
            views: has(&[RelationKind::View, RelationKind::MaterializedView]),
            indexes: of_all(|relation| relation.indexes.len()),
            constraints: of_all(|relation| relation.constraints.len()),
            types: catalog.types.len(),
            functions: catalog.functions.iter().filter(|f| f.name.schema != "pg_catalog").count(),
            sequences: catalog.sequences.len(),
            bytes,
            largest: tables,
            unread: catalog.unread.clone(),
        }
    }

    fn human(&self) -> String {
        let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
        let role = if self.is_replica { "a replica" } else { "a primary" };
        let connections =
            self.connections.zip(self.connections_max).map(|(now, max)| format!("{now} of {max}"));
        let longest = self.longest_transaction_ms.map(|ms| format!("{:.1} s", ms as f64 / 1000.0));
        let rate = |value: Option<u64>| value.map(|value| format!("{} a second", bytes(value)));
        let mut rows = vec![
            ("database", self.database.clone()),
            ("server", format!("PostgreSQL {}, {role}", self.server_version)),
            ("read at", or_unknown(self.read_at.clone())),
            ("connections", or_unknown(connections)),
            ("oldest transaction", or_unknown(longest)),
            ("replicas", self.replicas.to_string()),
            ("tables", format!("{}, {} of them partitions", self.tables, self.partitions)),
            ("views", self.views.to_string()),
            ("indexes", self.indexes.to_string()),
            ("constraints", self.constraints.to_string()),
            ("types", self.types.to_string()),
            ("functions", self.functions.to_string()),
            ("sequences", self.sequences.to_string()),
            ("size", bytes(self.bytes)),
        ];
        rows.extend(rate(self.scan_bytes_per_s).map(|rate| ("reads", rate)));
        rows.extend(rate(self.wal_bytes_per_s).map(|rate| ("writes WAL", rate)));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.into(), value]).collect();
        let mut text = output::aligned(&rows);
        if !self.largest.is_empty() {
            let heading = ["LARGEST", "ROWS", "SIZE", "INDEXES", "WRITES/S"].map(str::to_owned).to_vec();
            let rows = std::iter::once(heading).chain(self.largest.iter().map(Table::row));
            text.push('\n');
            text.push_str(&output::aligned(&rows.collect::<Vec<_>>()));
        }
        if !self.unread.is_empty() {
            text.push_str("\nNot read:\n");
            self.unread.iter().for_each(|unread| text.push_str(&format!("- {}\n", one_line(unread))));
        }
        text
    }
}

impl Table {
    fn of(relation: &posthaste_base::catalog::Relation) -> Self {
        let whole = |size: &Size| size.bytes + size.toast_bytes;
        Self {
            name: relation.name.quoted(),
            rows: relation.size.rows,
            bytes: whole(&relation.size),
            index_bytes: relation.indexes.iter().map(|index| whole(&index.size)).sum(),
            writes_per_s: relation.activity.writes_per_s,
        }
    }

    fn row(&self) -> Vec<String> {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        vec![
            one_line(&self.name),
            or_dash(self.rows.map(|rows| rows.to_string())),
            bytes(self.bytes),
            bytes(self.index_bytes),
            or_dash(self.writes_per_s.map(|rate| format!("{rate:.1}"))),
        ]
    }
}

fn version(number: u32) -> String {
    format!("{}.{}", number / 10_000, number % 10_000)
}

/// A name may hold what a terminal takes for an order.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}
