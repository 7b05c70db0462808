//! Tables and views with their columns, sizes and counters.
//!
//! Not for: what hangs on them (`attached`).

use std::collections::{BTreeMap, HashMap};

use posthaste_base::catalog::{
    Activity, Catalog, Column, Name, Partition, PartitionKey, Relation, RelationKind, Size,
};
use tokio_postgres::Row;

use super::get;
use super::reader::Reader;
use crate::{Error, Result, Visit};

pub(super) async fn read(reader: &mut Reader<'_>, catalog: &mut Catalog, block_bytes: u64) -> Result<()> {
    let sql = include_str!("../../sql/catalog/schemas.sql");
    for row in reader.rows("schemas", sql, &[]).await? {
        catalog.schemas.push(get(&row, "name")?);
    }
    let major = catalog.server.major();
    let since = catalog.server.counted_since;
    let mut hidden = Vec::new();
    for row in reader.rows_of_tables("tables", include_str!("../../sql/catalog/relations.sql")).await? {
        let mut relation = relation(&row, block_bytes, major)?;
        relation.activity.since = since;
        let is_analyzed = relation.activity.analyzed_at.is_some() || relation.size.rows.is_some();
        if !get::<bool>(&row, "is_readable")? && is_analyzed && relation.kind != RelationKind::View {
            hidden.push(relation.name.quoted());
        }
        reader.places.insert(relation.oid, catalog.relations.len());
        catalog.relations.push(relation);
    }
    if !hidden.is_empty() {
        reader.unread(format!(
            "the planner's statistics of {} tables that this role may not read: {}",
            hidden.len(),
            shortened(&hidden)
        ));
    }
    read_inheritance(reader, catalog).await?;
    read_columns(reader, catalog).await?;
    read_column_statistics(reader, catalog).await
}

/// Ten names say enough.
fn shortened(names: &[String]) -> String {
    let more = if names.len() > 10 { " and others" } else { "" };
    format!("{}{more}", names[..names.len().min(10)].join(", "))
}

fn relation(row: &Row, block_bytes: u64, major: u32) -> Result<Relation> {
    let kind = match get::<&str>(row, "kind")? {
        "p" => RelationKind::PartitionedTable,
        "f" => RelationKind::ForeignTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "c" => RelationKind::Composite,
        _ => RelationKind::Table,
    };
    let strategy: Option<&str> = get(row, "strategy")?;
    let partition_key = match strategy {
        None => None,
        Some(strategy) => Some(PartitionKey {
            strategy: match strategy {
                "l" => "list",
                "h" => "hash",
                _ => "range",
            }
            .to_owned(),
            columns: get::<Option<_>>(row, "key_columns")?.unwrap_or_default(),
            definition: get::<Option<_>>(row, "key_definition")?.unwrap_or_default(),
        }),
    };
    let bound: Option<String> = get(row, "bound")?;
    let toast_pages: i32 = get(row, "toast_pages")?;
    let mut size = size(row, block_bytes, major)?;
    size.toast_bytes = bytes(toast_pages, block_bytes);
    Ok(Relation {
        oid: get(row, "oid")?,
        name: Name { schema: get(row, "schema")?, name: get(row, "name")? },
        kind,
        owner: get(row, "owner")?,
        is_unlogged: get(row, "is_unlogged")?,
        access_method: get(row, "access_method")?,
        tablespace: get(row, "tablespace")?,
        has_row_security: get(row, "has_row_security")?,
        forces_row_security: get(row, "forces_row_security")?,
        options: options(get::<Option<_>>(row, "options")?.unwrap_or_default()),
        replica_identity: get(row, "replica_identity")?,
        partition: bound.map(|bound| Partition {
            parent: Name::default(),
            is_default: bound == "DEFAULT",
            bound,
        }),
        partition_key,
        size,
        activity: activity(row)?,
        ..Relation::default()
    })
}

/// Of a table or an index. Before 14 a table that was never counted has neither rows nor pages.
pub(super) fn size(row: &Row, block_bytes: u64, major: u32) -> Result<Size> {
    let (rows, pages): (f64, i32) = (get(row, "rows")?, get(row, "pages")?);
    let is_counted = rows >= 0.0 && (major >= 14 || rows > 0.0 || pages > 0);
    Ok(Size { rows: is_counted.then_some(rows as u64), bytes: bytes(pages, block_bytes), toast_bytes: 0 })
}

fn bytes(pages: i32, block_bytes: u64) -> u64 {
    // Pages are counted without a sign by the server, which the driver's number has.
    u64::from(pages.cast_unsigned()) * block_bytes
}

fn options(texts: Vec<String>) -> BTreeMap<String, String> {
    texts
        .into_iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (text, String::new()),
        })
        .collect()
}

fn activity(row: &Row) -> Result<Activity> {
    let count = |column: &str| -> Result<u64> {
        let value: Option<i64> = get(row, column)?;
        Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default())
    };
    Ok(Activity {
        inserted: count("inserted")?,
        updated: count("updated")?,
        deleted: count("deleted")?,
        live_rows: count("live_rows")?,
        dead_rows: count("dead_rows")?,
        modified_since_analyze: count("modified")?,
        sequential_scans: count("scans")?,
        analyzed_at: get(row, "analyzed_at")?,
        vacuumed_at: get(row, "vacuumed_at")?,
        ..Activity::default()
    })
}

async fn read_inheritance(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let sql = include_str!("../../sql/catalog/inheritance.sql");
    for row in reader.rows("inheritance", sql, &[]).await? {
        let Some(place) = reader.places.get(&get(&row, "relation")?) else { continue };
        let relation = &mut catalog.relations[*place];
        let parent = Name { schema: get(&row, "schema")?, name: get(&row, "name")? };
        if let Some(partition) = &mut relation.partition {
            partition.parent = parent.clone();
        }
        relation.parents.push(parent);
    }
    Ok(())
}

async fn read_columns(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    for row in reader.rows_of_tables("columns", include_str!("../../sql/catalog/columns.sql")).await? {
        let Some(place) = reader.places.get(&get(&row, "relation")?) else { continue };
        catalog.relations[*place].columns.push(Column {
            name: get(&row, "name")?,
            number: get(&row, "number")?,
            type_name: get(&row, "type_name")?,
            type_modifier: get(&row, "type_modifier")?,
            type_ref: Name { schema: get(&row, "type_schema")?, name: get(&row, "type_own_name")? },
            is_not_null: get(&row, "is_not_null")?,
            default: get(&row, "default_text")?,
            generated: get(&row, "generated")?,
            identity: get(&row, "identity")?,
            collation: get(&row, "collation")?,
            ..Column::default()
        });
    }
    Ok(())
}

/// Those of a table alone come after those of a table with all that inherits from it, and so win.
async fn read_column_statistics(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let sql = include_str!("../../sql/catalog/column_statistics.sql");
    let rows = reader.rows("the planner's statistics", sql, &[]).await?;
    let by_name: HashMap<Name, usize> =
        catalog.relations.iter().enumerate().map(|(place, r)| (r.name.clone(), place)).collect();
    for row in rows {
        let name = Name { schema: get(&row, "schema")?, name: get(&row, "name")? };
        let Some(place) = by_name.get(&name) else { continue };
        let column: &str = get(&row, "column")?;
        if let Some(column) = catalog.relations[*place].columns.iter_mut().find(|c| c.name == column) {
            column.null_fraction = get(&row, "null_fraction")?;
            column.distinct = get(&row, "distinct")?;
            column.width_bytes = get(&row, "width_bytes")?;
        }
    }
    Ok(())
}

/// Tables that were filled and never counted say 0 pages, which would make a large one look empty: their files are
/// measured, unless somebody would have to be waited for.
pub(super) async fn measure_uncounted(visit: &Visit, catalog: &mut Catalog) -> Result<()> {
    let busy = visit.query(include_str!("../../sql/catalog/busy.sql"), &[]).await?;
    let busy: Vec<u32> = busy.iter().map(|row| get(row, "relation")).collect::<Result<_>>()?;
    let has_file = |r: &Relation| matches!(r.kind, RelationKind::Table | RelationKind::MaterializedView);
    let mut locked = Vec::new();
    let mut wanted = Vec::new();
    for relation in catalog.relations.iter().filter(|relation| has_file(relation)) {
        let is_locked = busy.contains(&relation.oid);
        // An index has a page from the start, so that its table says whether it was counted.
        let is_uncounted = relation.size.bytes == 0 && relation.size.rows.is_none_or(|rows| rows == 0);
        match (is_uncounted, is_locked) {
            (false, _) => {}
            (true, true) => locked.push(relation.name.quoted()),
            (true, false) => {
                let indexes = relation.indexes.iter().map(|index| index.oid);
                wanted.push(relation.oid);
                wanted.extend(indexes.filter(|oid| !busy.contains(oid)));
            }
        }
    }
    if !locked.is_empty() {
        let names = shortened(&locked);
        catalog.unread.push(format!("the size of {names}: never counted, and locked now"));
    }
    let rows = match visit.query(include_str!("../../sql/catalog/sizes.sql"), &[&wanted]).await {
        Ok(rows) => rows,
        Err(Error::LockNotAvailable { .. } | Error::Cancelled { .. }) => {
            catalog.unread.push("the size of tables that were never counted: one of them is locked".into());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mut measured = HashMap::new();
    for row in rows {
        let bytes: Option<i64> = get(&row, "bytes")?;
        measured
            .insert(get::<u32>(&row, "oid")?, bytes.and_then(|b| u64::try_from(b).ok()).unwrap_or_default());
    }
    for relation in &mut catalog.relations {
        if let Some(bytes) = measured.get(&relation.oid) {
            relation.size.bytes = *bytes;
        }
        for index in &mut relation.indexes {
            if let Some(bytes) = measured.get(&index.oid) {
                index.size.bytes = *bytes;
            }
        }
    }
    Ok(())
}
