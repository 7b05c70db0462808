//! Types, functions, sequences, publications and extensions.
//!
//! Not for: tables and what hangs on them.

use std::collections::HashMap;

use posthaste_base::catalog::{
    Catalog, Extension, Function, Name, Publication, RelationKind, Sequence, TypeInfo, TypeKind,
};

use super::get;
use super::reader::Reader;
use crate::{Error, Result, Visit};

pub(super) async fn read(
    reader: &mut Reader<'_>,
    catalog: &mut Catalog,
    has_server_functions: bool,
) -> Result<()> {
    read_types(reader, catalog).await?;
    let sql = include_str!("../../sql/catalog/functions.sql");
    for row in reader.rows("functions", sql, &[&has_server_functions]).await? {
        catalog.functions.push(Function {
            name: Name { schema: get(&row, "schema")?, name: get(&row, "name")? },
            arguments: get::<Option<_>>(&row, "arguments")?.unwrap_or_default(),
            returns: get(&row, "returns")?,
            volatility: get(&row, "volatility")?,
            kind: get(&row, "kind")?,
            language: get(&row, "language")?,
            body: get(&row, "body")?,
        });
    }
    let sql = include_str!("../../sql/catalog/sequences.sql");
    for row in reader.rows("sequences", sql, &[]).await? {
        let table: Option<String> = get(&row, "table_name")?;
        let schema: Option<String> = get(&row, "table_schema")?;
        catalog.sequences.push(Sequence {
            oid: get(&row, "oid")?,
            name: Name { schema: get(&row, "schema")?, name: get(&row, "name")? },
            type_name: get(&row, "type_name")?,
            start: get(&row, "start")?,
            minimum: get(&row, "minimum")?,
            maximum: get(&row, "maximum")?,
            increment: get(&row, "increment")?,
            cycles: get(&row, "cycles")?,
            last_value: None,
            is_last_value_known: false,
            table: table.map(|name| Name { schema: schema.unwrap_or_default(), name }),
            column: get(&row, "column")?,
        });
    }
    read_publications(reader, catalog).await?;
    let sql = include_str!("../../sql/catalog/extensions.sql");
    for row in reader.rows("extensions", sql, &[]).await? {
        let (name, version, schema) = (get(&row, "name")?, get(&row, "version")?, get(&row, "schema")?);
        catalog.extensions.push(Extension { name, version, schema });
    }
    Ok(())
}

async fn read_types(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let sql = include_str!("../../sql/catalog/types.sql");
    for row in reader.rows("types", sql, &[]).await? {
        let oid: u32 = get(&row, "oid")?;
        catalog.types.push(TypeInfo {
            name: Name { schema: get(&row, "schema")?, name: get(&row, "name")? },
            kind: match get::<&str>(&row, "kind")? {
                "e" => TypeKind::Enum,
                "d" => TypeKind::Domain,
                "c" => TypeKind::Composite,
                "r" => TypeKind::Range,
                _ => TypeKind::Base,
            },
            labels: get::<Option<_>>(&row, "labels")?.unwrap_or_default(),
            base: get(&row, "base")?,
            is_not_null: get(&row, "is_not_null")?,
            default: get(&row, "default_text")?,
            checks: reader.domain_checks.remove(&oid).unwrap_or_default(),
        });
    }
    Ok(())
}

async fn read_publications(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let sql = include_str!("../../sql/catalog/publications.sql");
    for row in reader.rows("publications", sql, &[]).await? {
        let name: String = get(&row, "name")?;
        let table: Option<String> = get(&row, "table_name")?;
        let schema: Option<String> = get(&row, "schema")?;
        if catalog.publications.last().is_none_or(|publication| publication.name != name) {
            let all_tables = get(&row, "all_tables")?;
            catalog.publications.push(Publication { name, all_tables, tables: Vec::new() });
        }
        if let (Some(publication), Some(name)) = (catalog.publications.last_mut(), table) {
            publication.tables.push(Name { schema: schema.unwrap_or_default(), name });
        }
    }
    if catalog.server.major() < 15 {
        return Ok(());
    }
    let sql = include_str!("../../sql/catalog/publication_schemas.sql");
    for row in reader.rows("published schemas", sql, &[]).await? {
        let (name, schema): (&str, &str) = (get(&row, "name")?, get(&row, "schema")?);
        let is_table =
            |kind: RelationKind| matches!(kind, RelationKind::Table | RelationKind::PartitionedTable);
        let tables = catalog.relations.iter().filter(|r| r.name.schema == schema && is_table(r.kind));
        let tables: Vec<Name> = tables.map(|relation| relation.name.clone()).collect();
        if let Some(publication) = catalog.publications.iter_mut().find(|p| p.name == name) {
            publication.tables.extend(tables);
        }
    }
    Ok(())
}

/// A server has room for some thousands of locks, which everybody shares.
const SEQUENCES_AT_ONCE: usize = 500;

/// Apart from the snapshot's transaction, because each sequence that is looked at stays locked until its end; and some
/// at a time, because each stays locked until the statement's end too.
pub(super) async fn read_sequence_values(visit: &Visit, catalog: &mut Catalog) -> Result<()> {
    let oids: Vec<u32> = catalog.sequences.iter().map(|sequence| sequence.oid).collect();
    let (mut values, mut told) = (HashMap::new(), 0);
    for some in oids.chunks(SEQUENCES_AT_ONCE) {
        match visit.query(include_str!("../../sql/catalog/sequence_values.sql"), &[&some]).await {
            Ok(rows) => {
                for row in rows {
                    values.insert(get::<u32>(&row, "oid")?, get::<Option<i64>>(&row, "last_value")?);
                }
            }
            Err(error) if error.is_connection() => return Err(error),
            Err(error) => {
                let why = match &error {
                    Error::LockNotAvailable { .. } => "one of them is locked".to_owned(),
                    error => error.db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()),
                };
                catalog.unread.push(format!("last values of {} sequences: {why}", some.len()));
                told += some.len();
            }
        }
    }
    let mut hidden = 0;
    for sequence in &mut catalog.sequences {
        match values.get(&sequence.oid) {
            Some(value) => {
                sequence.last_value = *value;
                sequence.is_last_value_known = true;
            }
            None => hidden += 1,
        }
    }
    let hidden = hidden - told;
    if hidden > 0 {
        let why = "locked, or not for this role to read";
        catalog.unread.push(format!("last values of {hidden} sequences: {why}"));
    }
    Ok(())
}
