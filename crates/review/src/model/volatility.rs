//! Whether an expression gives another value for each row: then a column that has it as its default is written into
//! every row.
//!
//! Not for: what a function does.

use posthaste_base::catalog::Catalog;

use crate::statement::{Expression, FunctionCall};

/// The volatile functions of PostgreSQL that return a value and are of use in a default, for a catalog without the
/// server's own functions. From `pg_proc` of 12 to 18.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "lastval",
    "nextval",
    "random",
    "random_normal",
    "set_config",
    "setseed",
    "setval",
    "timeofday",
    "txid_status",
    "uuidv4",
    "uuidv7",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Volatility {
    /// Stable or immutable: one value for all rows.
    Fixed,
    Volatile,
    /// A function that no catalog knows.
    Unknown(String),
}

pub(super) fn of_expression(catalog: &Catalog, expression: &Expression) -> Volatility {
    let mut unknown = None;
    for call in &expression.functions {
        match of_call(catalog, call) {
            Volatility::Volatile => return Volatility::Volatile,
            Volatility::Unknown(name) => unknown = Some(name),
            Volatility::Fixed => {}
        }
    }
    unknown.map_or(Volatility::Fixed, Volatility::Unknown)
}

pub(super) fn of_call(catalog: &Catalog, call: &FunctionCall) -> Volatility {
    // Of the words of the grammar that look like calls none is volatile.
    if call.is_keyword {
        return Volatility::Fixed;
    }
    let name = call.name.name.as_str();
    let schemas: Vec<&str> = match &call.name.schema {
        Some(schema) => vec![schema],
        None => {
            let path = catalog.search_path.iter().map(String::as_str);
            std::iter::once("pg_catalog").chain(path).collect()
        }
    };
    let is_it = |f: &&posthaste_base::catalog::Function| {
        f.name.name == name && schemas.contains(&f.name.schema.as_str())
    };
    let found: Vec<_> = catalog.functions.iter().filter(is_it).collect();
    // Of functions with the same name, those with that many arguments count, where there are any.
    let fits: Vec<_> = found.iter().filter(|f| f.arguments.len() == call.argument_count).collect();
    let candidates = if fits.is_empty() { found.iter().collect() } else { fits };
    if candidates.iter().any(|f| f.volatility == "v") {
        return Volatility::Volatile;
    }
    if !candidates.is_empty() {
        return Volatility::Fixed;
    }
    let may_be_built_in = schemas.contains(&"pg_catalog");
    if may_be_built_in && VOLATILE.contains(&name) {
        return Volatility::Volatile;
    }
    // A catalog that was read has all functions that somebody made, so that this one is the server's own.
    if may_be_built_in && catalog.server.version_num > 0 || is_well_known(call) {
        return Volatility::Fixed;
    }
    Volatility::Unknown(call.name.to_string())
}

/// Whether no function of that name is there, in a catalog that has the server's own functions too.
pub(super) fn is_missing(catalog: &Catalog, call: &FunctionCall) -> bool {
    let has_server_functions = catalog.functions.iter().any(|function| function.name.schema == "pg_catalog");
    let is_there = catalog.functions.iter().any(|function| {
        function.name.name == call.name.name
            && call.name.schema.as_ref().is_none_or(|schema| *schema == function.name.schema)
    });
    has_server_functions && !call.is_keyword && !is_there
}

/// The server's own functions that defaults are made of, for when there is no catalog.
fn is_well_known(call: &FunctionCall) -> bool {
    let names = [
        "abs",
        "array_fill",
        "concat",
        "date_trunc",
        "extract",
        "format",
        "jsonb_build_array",
        "jsonb_build_object",
        "json_build_object",
        "length",
        "lower",
        "make_date",
        "make_interval",
        "make_timestamp",
        "md5",
        "now",
        "statement_timestamp",
        "to_char",
        "to_date",
        "to_timestamp",
        "transaction_timestamp",
        "trim",
        "upper",
    ];
    call.name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
        && names.contains(&call.name.name.as_str())
}
