//! What hangs on tables: constraints, indexes, triggers, rules, policies, statistics, and what depends on them.
//!
//! Not for: the tables themselves (`relations`).

use std::collections::HashMap;

use posthaste_base::catalog::{
    Catalog, Constraint, ConstraintKind, Dependent, Index, IndexKey, Name, Reference, Relation, Trigger,
};
use tokio_postgres::Row;

use super::reader::Reader;
use super::{expressions, get, relations};
use crate::Result;

pub(super) async fn read(reader: &mut Reader<'_>, catalog: &mut Catalog, block_bytes: u64) -> Result<()> {
    read_constraints(reader, catalog).await?;
    read_indexes(reader, catalog, block_bytes).await?;
    let sql = include_str!("../../sql/catalog/triggers.sql");
    for row in reader.rows("triggers", sql, &[]).await? {
        let Some(relation) = of(reader, catalog, &row)? else { continue };
        relation.triggers.push(Trigger {
            name: get(&row, "name")?,
            function: Name { schema: get(&row, "function_schema")?, name: get(&row, "function_name")? },
            enabled: get(&row, "enabled")?,
            is_internal: get(&row, "is_internal")?,
        });
    }
    let sql = include_str!("../../sql/catalog/attached.sql");
    for row in reader.rows("rules, policies and statistics", sql, &[]).await? {
        let Some(relation) = of(reader, catalog, &row)? else { continue };
        let names = match get::<&str>(&row, "kind")? {
            "rule" => &mut relation.rules,
            "policy" => &mut relation.policies,
            _ => &mut relation.statistics,
        };
        names.push(get(&row, "name")?);
    }
    let sql = include_str!("../../sql/catalog/dependents.sql");
    for row in reader.rows("dependents", sql, &[]).await? {
        let Some(relation) = of(reader, catalog, &row)? else { continue };
        relation.dependents.push(Dependent {
            name: Name { schema: get(&row, "schema")?, name: get(&row, "name")? },
            kind: get(&row, "kind")?,
            columns: get(&row, "columns")?,
        });
    }
    Ok(())
}

/// The relation that a row is about, unless it is one that is not read.
fn of<'c>(reader: &Reader<'_>, catalog: &'c mut Catalog, row: &Row) -> Result<Option<&'c mut Relation>> {
    let place = reader.places.get(&get(row, "relation")?);
    Ok(place.map(|place| &mut catalog.relations[*place]))
}

/// Those of domains are kept by the domain's oid until the types are read.
async fn read_constraints(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let sql = include_str!("../../sql/catalog/constraints.sql");
    for row in reader.rows_of_tables("constraints", sql).await? {
        let domain: u32 = get(&row, "domain")?;
        let constraint = constraint(reader, catalog, &row)?;
        if domain != 0 {
            reader.domain_checks.entry(domain).or_default().push(constraint);
        } else if let Some(relation) = of(reader, catalog, &row)? {
            relation.constraints.push(constraint);
        }
    }
    Ok(())
}

fn constraint(reader: &Reader<'_>, catalog: &Catalog, row: &Row) -> Result<Constraint> {
    let numbers =
        |column: &str| Ok::<_, crate::Error>(get::<Option<Vec<i16>>>(row, column)?.unwrap_or_default());
    let kind = match get::<&str>(row, "kind")? {
        "n" => ConstraintKind::NotNull,
        "p" => ConstraintKind::PrimaryKey,
        "u" => ConstraintKind::Unique,
        "f" => ConstraintKind::ForeignKey,
        "x" => ConstraintKind::Exclusion,
        "t" => ConstraintKind::Trigger,
        _ => ConstraintKind::Check,
    };
    let references = match name(row, "referenced_schema", "referenced_name")? {
        None => None,
        Some(table) => Some(Reference {
            table,
            columns: columns(reader, catalog, get(row, "referenced")?, &numbers("referenced_columns")?),
            on_delete: get(row, "on_delete")?,
            on_update: get(row, "on_update")?,
        }),
    };
    Ok(Constraint {
        oid: get(row, "oid")?,
        name: get(row, "name")?,
        kind,
        is_validated: get(row, "is_validated")?,
        is_enforced: get(row, "is_enforced")?,
        is_deferrable: get(row, "is_deferrable")?,
        is_inherited: get(row, "is_inherited")?,
        no_inherit: get(row, "no_inherit")?,
        columns: columns(reader, catalog, get(row, "relation")?, &numbers("columns")?),
        definition: get::<Option<_>>(row, "definition")?.unwrap_or_default(),
        index: name(row, "index_schema", "index_name")?,
        references,
    })
}

/// Names of a relation's columns by their numbers; what is no column has an empty name.
fn columns(reader: &Reader<'_>, catalog: &Catalog, relation: u32, numbers: &[i16]) -> Vec<String> {
    let relation = reader.places.get(&relation).map(|place| &catalog.relations[*place]);
    let name = |number: &i16| {
        let column = relation.and_then(|r| r.columns.iter().find(|column| column.number == *number));
        column.map(|column| column.name.clone()).unwrap_or_default()
    };
    numbers.iter().map(name).collect()
}

fn name(row: &Row, schema: &str, name: &str) -> Result<Option<Name>> {
    let name: Option<String> = get(row, name)?;
    let schema: Option<String> = get(row, schema)?;
    Ok(name.map(|name| Name { schema: schema.unwrap_or_default(), name }))
}

/// What the keys of indexes name by oid.
struct Names {
    opclasses: HashMap<u32, String>,
    collations: HashMap<u32, String>,
}

async fn names(reader: &mut Reader<'_>, sql: &str) -> Result<HashMap<u32, String>> {
    let rows = reader.rows("names of operator classes and collations", sql, &[]).await?;
    rows.iter().map(|row| Ok((get(row, "oid")?, get(row, "name")?))).collect()
}

async fn read_indexes(reader: &mut Reader<'_>, catalog: &mut Catalog, block_bytes: u64) -> Result<()> {
    let major = catalog.server.major();
    let mut places = HashMap::new();
    let names = Names {
        opclasses: names(reader, include_str!("../../sql/catalog/opclasses.sql")).await?,
        collations: names(reader, include_str!("../../sql/catalog/collations.sql")).await?,
    };
    for row in reader.rows_of_tables("indexes", include_str!("../../sql/catalog/indexes.sql")).await? {
        let columns = columns(reader, catalog, get(&row, "relation")?, &get::<Vec<i16>>(&row, "columns")?);
        let mut index = index(&row, &columns, &names)?;
        index.size = relations::size(&row, block_bytes, major)?;
        let table: u32 = get(&row, "relation")?;
        let Some(relation) = of(reader, catalog, &row)? else { continue };
        places.insert(index.oid, (table, relation.indexes.len()));
        relation.activity.index_scans += index.scans.unwrap_or_default();
        relation.indexes.push(index);
    }
    if major < 16 {
        return Ok(());
    }
    let sql = include_str!("../../sql/catalog/index_scans.sql");
    for row in reader.rows("when indexes were last used", sql, &[]).await? {
        let Some((table, place)) = places.get(&get(&row, "oid")?) else { continue };
        let Some(relation) = reader.places.get(table) else { continue };
        catalog.relations[*relation].indexes[*place].last_scan_at = get(&row, "last_scan_at")?;
    }
    Ok(())
}

fn index(row: &Row, columns: &[String], names: &Names) -> Result<Index> {
    let key_count = usize::try_from(get::<i16>(row, "key_count")?).unwrap_or_default();
    let include = columns.get(key_count..).unwrap_or_default().to_vec();
    let scans: Option<i64> = get(row, "scans")?;
    Ok(Index {
        oid: get(row, "oid")?,
        name: Name { schema: get(row, "schema")?, name: get(row, "name")? },
        method: get(row, "method")?,
        is_unique: get(row, "is_unique")?,
        is_primary: get(row, "is_primary")?,
        is_exclusion: get(row, "is_exclusion")?,
        is_valid: get(row, "is_valid")?,
        is_ready: get(row, "is_ready")?,
        is_immediate: get(row, "is_immediate")?,
        is_partitioned: get(row, "is_partitioned")?,
        is_clustered: get(row, "is_clustered")?,
        is_replica_identity: get(row, "is_replica_identity")?,
        nulls_not_distinct: get(row, "nulls_not_distinct")?,
        parent: name(row, "parent_schema", "parent_name")?,
        keys: keys(row, &columns[..key_count.min(columns.len())], names)?,
        include,
        has_predicate: get(row, "has_predicate")?,
        predicate: get(row, "predicate")?,
        constraint: get(row, "constraint_name")?,
        scans: scans.and_then(|scans| u64::try_from(scans).ok()),
        ..Index::default()
    })
}

/// A key without a column is an expression; of an index whose table is locked its text is not known.
fn keys(row: &Row, columns: &[String], names: &Names) -> Result<Vec<IndexKey>> {
    let text: Option<String> = get(row, "expressions")?;
    let mut texts = text.map(|text| expressions::split(&text)).unwrap_or_default().into_iter();
    let opclasses: Vec<u32> = get(row, "opclasses")?;
    let collations: Vec<u32> = get(row, "collations")?;
    let options: Vec<i16> = get(row, "options")?;
    let key = |(place, column): (usize, &String)| {
        let option = options.get(place).copied().unwrap_or_default();
        IndexKey {
            column: (!column.is_empty()).then(|| column.clone()),
            expression: column.is_empty().then(|| texts.next().unwrap_or_default()),
            opclass: opclasses
                .get(place)
                .and_then(|oid| names.opclasses.get(oid))
                .cloned()
                .unwrap_or_default(),
            collation: collations.get(place).and_then(|oid| names.collations.get(oid)).cloned(),
            is_descending: option & 1 != 0,
            is_nulls_first: option & 2 != 0,
        }
    };
    Ok(columns.iter().enumerate().map(key).collect())
}
