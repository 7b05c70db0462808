//! What visits of this crate have in common: the catalog as data, and answers read as what they are.
//!
//! Not for: the doctor, whose checks share one connection and ask for rows as JSON (see `doctor::visitor`).

use posthaste_base::Error;
use posthaste_base::catalog::Catalog;
use posthaste_pg::catalog::{self, CatalogOptions};
use posthaste_pg::driver::{FromSql, Row};
use posthaste_pg::{Target, Visit, VisitOptions};

/// Connects, and reads the catalog, without the functions of the server itself.
pub(crate) async fn with_catalog(target: &Target, options: VisitOptions) -> Result<(Visit, Catalog), Error> {
    let visit = Visit::connect(target, options).await?;
    let options = CatalogOptions { has_server_functions: false, ..CatalogOptions::default() };
    let catalog = catalog::read(&visit, &options).await?;
    Ok((visit, catalog))
}

/// A visit that only reads what this program has written down itself.
pub(crate) async fn reader(target: &Target, name: &str) -> Result<Visit, Error> {
    Ok(Visit::connect(target, VisitOptions::named(name).read_only()).await?)
}

/// One column of a row.
pub(crate) fn cell<'r, T: FromSql<'r>>(row: &'r Row, column: &str) -> Result<T, Error> {
    Ok(row.try_get(column).map_err(posthaste_pg::Error::from)?)
}

/// Whether a statement without parameters says that something is there.
pub(crate) async fn says(visit: &Visit, sql: &str, column: &str) -> Result<bool, Error> {
    cell(&visit.query_one(sql, &[]).await?, column)
}

/// Each row as what it is.
pub(crate) fn read_rows<T>(
    rows: &[Row],
    one: impl FnMut(&Row) -> Result<T, posthaste_pg::Error>,
) -> Result<Vec<T>, Error> {
    Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
}
