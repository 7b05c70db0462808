//! Types: from what was written to what PostgreSQL calls them.

use super::tree::{K, Node, Source, Tree, segments, text_of};
use crate::statement::{ObjectName, TypeName};

/// Names that PostgreSQL understands without a schema: as written, as in `pg_type`, and as `format_type` writes them.
const BUILT_IN: &[(&str, &str, &str)] = &[
    ("int", "int4", "integer"),
    ("integer", "int4", "integer"),
    ("int4", "int4", "integer"),
    ("smallint", "int2", "smallint"),
    ("int2", "int2", "smallint"),
    ("bigint", "int8", "bigint"),
    ("int8", "int8", "bigint"),
    ("real", "float4", "real"),
    ("float4", "float4", "real"),
    ("float8", "float8", "double precision"),
    ("decimal", "numeric", "numeric"),
    ("dec", "numeric", "numeric"),
    ("numeric", "numeric", "numeric"),
    ("boolean", "bool", "boolean"),
    ("bool", "bool", "boolean"),
    ("timestamptz", "timestamptz", "timestamp with time zone"),
    ("timestamp", "timestamp", "timestamp without time zone"),
    ("timetz", "timetz", "time with time zone"),
    ("time", "time", "time without time zone"),
    ("varbit", "varbit", "bit varying"),
    ("bit", "bit", "bit"),
    ("varchar", "varchar", "character varying"),
    ("bpchar", "bpchar", "bpchar"),
    ("interval", "interval", "interval"),
];

/// Those that are called the same everywhere.
const PLAIN: &[&str] = &[
    "text",
    "bytea",
    "date",
    "uuid",
    "json",
    "jsonb",
    "jsonpath",
    "xml",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "oid",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
    "pg_lsn",
    "pg_snapshot",
    "txid_snapshot",
    "xid",
    "xid8",
    "cid",
    "tid",
    "regclass",
    "regproc",
    "regprocedure",
    "regoper",
    "regoperator",
    "regtype",
    "regrole",
    "regnamespace",
    "regconfig",
    "regdictionary",
    "regcollation",
    "void",
    "record",
    "trigger",
    "event_trigger",
    "anyelement",
    "anyarray",
    "cstring",
    "internal",
    "refcursor",
];

impl Source<'_> {
    pub(crate) fn type_name(&self, node: &Node) -> TypeName {
        let mut found = TypeName { span: self.span_of(node), text: text_of(node), ..TypeName::default() };
        self.fill(node, &mut found);
        found.is_setof = node.descendants().any(|node| node.has(K::SETOF_KW));
        found
    }

    /// The type that is a direct child.
    pub(crate) fn type_in(&self, node: &Node) -> Option<TypeName> {
        node.type_node().map(|node| self.type_name(&node))
    }

    fn fill(&self, node: &Node, found: &mut TypeName) {
        found.modifiers = modifiers(node);
        let has = |kind| node.descendants_with_tokens().any(|child| child.kind() == kind);
        let (name, canonical) = match node.kind() {
            K::ARRAY_TYPE => {
                if let Some(element) = node.type_node() {
                    self.fill(&element, found);
                }
                found.array_dimensions = 1;
                found.canonical.push_str("[]");
                return;
            }
            K::PERCENT_TYPE => {
                found.is_reference = true;
                found.canonical = found.text.clone();
                found.name = node.first(K::PATH_REF).map(|path| self.name(&path)).unwrap_or_default();
                return;
            }
            K::VARCHAR_TYPE => ("varchar", "character varying"),
            K::CHARACTER_TYPE => ("bpchar", "character"),
            K::BIT_TYPE => ("bit", "bit"),
            K::BIT_VARYING_TYPE => ("varbit", "bit varying"),
            K::DOUBLE_TYPE => ("float8", "double precision"),
            K::TIME_TYPE if has(K::WITH_TIMEZONE) => ("timetz", "time with time zone"),
            K::TIME_TYPE => ("time", "time without time zone"),
            K::TIMESTAMP_TYPE if has(K::WITH_TIMEZONE) => ("timestamptz", "timestamp with time zone"),
            K::TIMESTAMP_TYPE => ("timestamp", "timestamp without time zone"),
            K::INTERVAL_TYPE => ("interval", "interval"),
            _ => return self.fill_path(node, found),
        };
        if matches!(node.kind(), K::CHARACTER_TYPE | K::BIT_TYPE) && found.modifiers.is_empty() {
            found.modifiers.push("1".to_owned());
        }
        found.name = ObjectName { span: found.span, ..ObjectName::new(Some("pg_catalog"), name) };
        found.canonical = with_modifiers(canonical, &found.modifiers);
        if let Some(fields) =
            node.children().find(|child| child.kind() != K::LITERAL && !fields_of(child).is_empty())
        {
            found.canonical = format!("interval {}", fields_of(&fields));
        }
    }

    /// A type that is a name, which may be one of PostgreSQL's own.
    fn fill_path(&self, node: &Node, found: &mut TypeName) {
        let Some(path) = node.first(K::PATH_REF) else { return };
        let name = ObjectName { span: found.span, ..self.name(&path) };
        let is_ours = name.schema.is_some() && name.schema.as_deref() != Some("pg_catalog");
        let is_quoted = text_of(&path).ends_with('"');
        let known = if is_ours { None } else { built_in(&name.name, is_quoted, &found.modifiers) };
        if let Some((built_in, canonical)) = known {
            found.name =
                ObjectName { schema: Some("pg_catalog".to_owned()), name: built_in.to_owned(), ..name };
            if built_in == "numeric" && found.modifiers.len() == 1 {
                found.modifiers.push("0".to_owned());
            } else if built_in.starts_with("float") {
                found.modifiers.clear();
            }
            found.canonical = with_modifiers(canonical, &found.modifiers);
            return;
        }
        let written: Vec<String> = segments(&path).iter().map(|part| quoted(part)).collect();
        found.canonical = with_modifiers(&written.join("."), &found.modifiers);
        found.name = name;
    }
}

/// The name in `pg_type` and that of `format_type`.
fn built_in<'a>(name: &'a str, is_quoted: bool, modifiers: &[String]) -> Option<(&'a str, &'a str)> {
    if is_quoted && name == "char" {
        return Some(("char", "\"char\""));
    }
    if name == "float" && !is_quoted {
        let digits = modifiers.first().and_then(|digits| digits.parse::<u8>().ok());
        return Some(if digits.is_some_and(|digits| digits < 25) {
            ("float4", "real")
        } else {
            ("float8", "double precision")
        });
    }
    let row = BUILT_IN.iter().find(|(written, _, _)| *written == name);
    let row = row.filter(|(written, internal, _)| !is_quoted || written == internal);
    row.map(|(_, internal, canonical)| (*internal, *canonical))
        .or_else(|| PLAIN.contains(&name).then_some((name, name)))
}

/// `format_type` puts the modifier behind the first word of times, and at the end of all others.
fn with_modifiers(canonical: &str, modifiers: &[String]) -> String {
    if modifiers.is_empty() {
        return canonical.to_owned();
    }
    let modifiers = modifiers.join(",");
    match canonical.split_once(' ') {
        Some((first, rest)) if rest.ends_with("time zone") => format!("{first}({modifiers}) {rest}"),
        _ => format!("{canonical}({modifiers})"),
    }
}

fn modifiers(node: &Node) -> Vec<String> {
    let list = node.first(K::ARG_LIST);
    let of_list = list.iter().flat_map(|list| list.every(K::ARG)).map(|arg| text_of(&arg));
    let alone = node.every(K::LITERAL).into_iter().map(|literal| text_of(&literal));
    of_list.chain(alone).collect()
}

/// `day to second(3)`, in lower case.
fn fields_of(node: &Node) -> String {
    let is_fields = matches!(
        node.kind(),
        K::INTERVAL_YEAR
            | K::INTERVAL_MONTH
            | K::INTERVAL_DAY
            | K::INTERVAL_HOUR
            | K::INTERVAL_MINUTE
            | K::INTERVAL_SECOND
    );
    if is_fields { node.words().replace(" ( ", "(").replace(" )", ")") } else { String::new() }
}

/// With quotes when the name needs them, as `format_type` does for most names.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
