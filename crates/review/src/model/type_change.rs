//! Whether a column of one type can become one of another without writing the table anew, and which of its indexes
//! have to be built again.
//!
//! Sources: `ATColumnChangeRequiresRewrite` and `CheckIndexCompatible` of PostgreSQL, its binary casts, and the rules
//! by which it finds a cast of lengths to be nothing (`varchar_support` and its like). The same on 12 to 18.
//! Not for: whether there is a cast at all, and what depends on the column.

use posthaste_base::catalog::{Catalog, Column, Index, Name, Relation, TypeKind};

use super::relations;
use crate::statement::{Expression, ObjectName, Shape, TypeName};

/// What `ALTER COLUMN ... TYPE` does to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeChange {
    pub work: TypeWork,
    /// Indexes that are built anew: all of them with a rewrite.
    pub rebuilt: Vec<Name>,
    /// What the answer depends on, when it is the worst that can be.
    pub depends_on: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TypeWork {
    #[default]
    None,
    /// A validated CHECK is verified again, or an index is built.
    Scan,
    Rewrite,
}

/// The new type, with what else the clause says.
#[derive(Clone, Copy, Debug)]
pub struct NewType<'a> {
    pub type_name: &'a TypeName,
    pub collation: Option<&'a ObjectName>,
    pub using: Option<&'a Expression>,
}

/// A type as `format_type` writes it, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Type {
    /// Without its modifiers: `character varying`, `timestamp without time zone`, `app.mood`.
    pub base: String,
    pub modifiers: Vec<i32>,
    /// Of an interval: `day to second`.
    pub fields: String,
    pub is_array: bool,
}

/// Pairs that are stored alike, so that a cast between them is none.
const BINARY: &[(&str, &str)] = &[
    ("character varying", "text"),
    ("text", "character varying"),
    ("text", "character"),
    ("character varying", "character"),
    ("xml", "text"),
    ("xml", "character varying"),
    ("xml", "character"),
    ("cidr", "inet"),
    ("bit", "bit varying"),
    ("bit varying", "bit"),
    ("integer", "oid"),
    ("oid", "integer"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp with time zone", "timestamp without time zone"),
    ("citext", "text"),
    ("citext", "character varying"),
    ("text", "citext"),
    ("character varying", "citext"),
];

/// `regclass` and its like are numbers of objects.
const OBJECT_NUMBERS: &[&str] = &[
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// Time zones that are UTC by another name: then a `timestamp` is the same as a `timestamptz`.
const UTC: &[&str] = &[
    "UTC",
    "Etc/UTC",
    "GMT",
    "Etc/GMT",
    "UCT",
    "Etc/UCT",
    "Zulu",
    "Etc/Zulu",
    "Universal",
    "Etc/Universal",
    "GMT0",
];

/// What a change of a column's type does to its table.
pub fn type_change(catalog: &Catalog, relation: &Relation, column: &Column, new: NewType<'_>) -> TypeChange {
    let mut depends_on = Vec::new();
    let from = resolve(catalog, &column.type_name);
    let to = resolve(catalog, &new.type_name.canonical);
    if needs_rewrite(catalog, column, &from, &to, new.using, &mut depends_on) {
        let rebuilt = relation.indexes.iter().filter(|index| !index.is_partitioned);
        let rebuilt = rebuilt.map(|index| index.name.clone()).collect();
        return TypeChange { work: TypeWork::Rewrite, rebuilt, depends_on };
    }
    let uses = relation.indexes.iter().filter(|index| relations::index_uses(index, &column.name));
    let rebuilt: Vec<Name> = uses
        .filter(|index| !index.is_partitioned && !is_compatible(index, column, &from, &to, new.collation))
        .map(|index| index.name.clone())
        .collect();
    let has_check = relation.constraints.iter().any(|constraint| {
        constraint.kind == posthaste_base::catalog::ConstraintKind::Check
            && constraint.is_validated
            && constraint.is_enforced
            && constraint.columns.contains(&column.name)
    });
    let work = if has_check || !rebuilt.is_empty() { TypeWork::Scan } else { TypeWork::None };
    TypeChange { work, rebuilt, depends_on }
}

/// A type with its domains taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Resolved {
    /// The domain's own name, when it is one.
    domain: Option<Name>,
    is_constrained: bool,
    below: Type,
    is_polymorphic: bool,
}

fn resolve(catalog: &Catalog, text: &str) -> Resolved {
    let mut current = Type::parse(text);
    let mut resolved = Resolved::default();
    // A domain may be over another; none is over itself.
    for _ in 0..32 {
        let Some(info) = named(catalog, &current.base) else { break };
        let full = format!("{}.{}", info.name.schema, info.name.name);
        if info.kind != TypeKind::Domain || current.is_array {
            resolved.is_polymorphic |=
                matches!(info.kind, TypeKind::Enum | TypeKind::Range | TypeKind::Composite);
            let is_citext = info.kind == TypeKind::Base && info.name.name == "citext";
            current.base = if is_citext { "citext".to_owned() } else { full };
            break;
        }
        resolved.domain.get_or_insert_with(|| info.name.clone());
        resolved.is_constrained |= relations::is_constrained(catalog, info);
        current = Type::parse(info.base.as_deref().unwrap_or_default());
    }
    resolved.is_polymorphic |= current.is_array;
    resolved.below = current;
    resolved
}

/// A type that somebody made, by a name that may have a schema and quotes.
fn named<'a>(catalog: &'a Catalog, base: &str) -> Option<&'a posthaste_base::catalog::TypeInfo> {
    let plain = base.replace('"', "");
    match plain.split_once('.') {
        Some((schema, name)) => relations::type_info(catalog, Some(schema), name),
        None => relations::type_info(catalog, None, &plain),
    }
}

fn needs_rewrite(
    catalog: &Catalog,
    column: &Column,
    from: &Resolved,
    to: &Resolved,
    using: Option<&Expression>,
    depends_on: &mut Vec<String>,
) -> bool {
    if let Some(using) = using {
        let Some(step) = plain_cast(using, &column.name) else { return true };
        if let Some(step) = step {
            let between = resolve(catalog, &step.canonical);
            return needs_rewrite(catalog, column, from, &between, None, depends_on)
                || needs_rewrite(catalog, column, &between, to, None, depends_on);
        }
    }
    if to.is_constrained && to.domain != from.domain {
        return true;
    }
    let (old, new) = (&from.below, &to.below);
    if old == new && from.domain.is_none() {
        return false;
    }
    if old.is_array || new.is_array {
        return true;
    }
    if old.base != new.base && !is_binary(catalog, old, new, depends_on) {
        return true;
    }
    // The length of a domain's base is not looked at.
    let length = if from.domain.is_some() { Vec::new() } else { old.modifiers.clone() };
    !keeps_length(&Type { modifiers: length, ..old.clone() }, new)
}

/// `USING c`, or `USING c::type`: `Some(Some(type))` for a cast, `None` for anything else.
fn plain_cast<'a>(using: &'a Expression, column: &str) -> Option<Option<&'a TypeName>> {
    match &using.shape {
        Shape::Column(used) => (used.column == *column).then_some(None),
        _ => {
            let [used] = using.columns.as_slice() else { return None };
            let [cast] = using.casts.as_slice() else { return None };
            let (before, after) = using.text.split_once("::")?;
            let is_plain = used.column == *column
                && using.functions.is_empty()
                && using.operators.is_empty()
                && before.trim().trim_matches('"').eq_ignore_ascii_case(column)
                && after.trim() == cast.text.trim();
            is_plain.then_some(Some(cast))
        }
    }
}

fn is_binary(catalog: &Catalog, old: &Type, new: &Type, depends_on: &mut Vec<String>) -> bool {
    let pair = (old.base.as_str(), new.base.as_str());
    let is_time = |base: &str| base.starts_with("timestamp ");
    if is_time(pair.0) && is_time(pair.1) {
        return match catalog.server.settings.get("TimeZone") {
            Some(zone) => UTC.iter().any(|utc| utc.eq_ignore_ascii_case(zone)),
            None => {
                depends_on.push("whether the session's TimeZone is UTC".to_owned());
                false
            }
        };
    }
    let is_number = |base: &str| base == "integer" || base == "oid" || OBJECT_NUMBERS.contains(&base);
    if BINARY.contains(&pair)
        || (is_number(pair.0)
            && is_number(pair.1)
            && !(OBJECT_NUMBERS.contains(&pair.0) && OBJECT_NUMBERS.contains(&pair.1)))
    {
        return true;
    }
    // The casts of types that extensions bring are not in the catalog.
    let is_foreign = |base: &str| named(catalog, base).is_some_and(|info| info.kind == TypeKind::Base);
    if is_foreign(pair.0) || is_foreign(pair.1) {
        depends_on.push(format!("whether `{}` and `{}` are stored alike", pair.0, pair.1));
    }
    false
}

/// Whether the new length or precision takes every value of the old one as it is.
fn keeps_length(old: &Type, new: &Type) -> bool {
    let widens = || match (old.modifiers.first(), new.modifiers.first()) {
        (_, None) => true,
        (Some(old), Some(new)) => new >= old,
        (None, Some(_)) => false,
    };
    match new.base.as_str() {
        "character varying" => new.modifiers.is_empty() || (old.base == "character varying" && widens()),
        "bit varying" => new.modifiers.is_empty() || (old.base == "bit varying" && widens()),
        "character" => new.modifiers.is_empty() || (old.base == new.base && old.modifiers == new.modifiers),
        "bit" => old.base == new.base && old.modifiers == new.modifiers,
        "numeric" => match (old.modifiers.as_slice(), new.modifiers.as_slice()) {
            (_, []) => true,
            ([old_precision, old_scale @ ..], [precision, scale @ ..]) => {
                let scale_of = |scale: &[i32]| scale.first().copied().unwrap_or(0);
                scale_of(old_scale) == scale_of(scale) && precision >= old_precision
            }
            ([], _) => false,
        },
        "time without time zone"
        | "time with time zone"
        | "timestamp without time zone"
        | "timestamp with time zone" => widens() || new.modifiers.first() == Some(&6),
        "interval" => {
            let (old_field, new_field) = (least_field(&old.fields), least_field(&new.fields));
            let is_precise = widens() || new.modifiers.first() == Some(&6);
            new_field <= old_field && (old_field > 0 || is_precise)
        }
        _ => true,
    }
}

/// The smallest part of an interval that is kept: seconds are 0.
fn least_field(fields: &str) -> u32 {
    match fields.rsplit(' ').next().unwrap_or_default() {
        "year" => 5,
        "month" => 4,
        "day" => 3,
        "hour" => 2,
        "minute" => 1,
        _ => 0,
    }
}

/// Whether an index with the column can keep its file, as `CheckIndexCompatible` decides.
fn is_compatible(
    index: &Index,
    column: &Column,
    from: &Resolved,
    to: &Resolved,
    collation: Option<&ObjectName>,
) -> bool {
    // Expressions and conditions are not looked into: PostgreSQL takes the worst for them.
    let computes = index.predicate.is_some() || index.keys.iter().any(|key| key.expression.is_some());
    if computes || !index.is_valid {
        return false;
    }
    let old_collation = column.collation.as_deref().unwrap_or("default").trim_matches('"');
    let new_collation = collation.map_or("default", |name| name.name.as_str());
    let keys = index.keys.iter().filter(|key| key.column.as_deref() == Some(column.name.as_str()));
    keys.into_iter().all(|key| {
        // One that is named with its own collation keeps that.
        let is_own = key.collation.as_deref().is_some_and(|own| own.trim_matches('"') != old_collation);
        let same_collation = is_own || !is_collatable(&from.below) || old_collation == new_collation;
        let same_operators = is_explicit(&key.opclass, &from.below)
            || (operators(&from.below) == operators(&to.below)
                && (!from.is_polymorphic || from.below == to.below));
        same_collation && same_operators
    })
}

fn is_collatable(kind: &Type) -> bool {
    matches!(kind.base.as_str(), "text" | "character varying" | "character" | "citext" | "name")
}

/// The type whose operators an index over it uses.
fn operators(kind: &Type) -> &str {
    match kind.base.as_str() {
        "character varying" => "text",
        "cidr" => "inet",
        base if OBJECT_NUMBERS.contains(&base) => "oid",
        base => base,
    }
}

/// Whether an operator class was named that is not the type's own, so that it stays.
fn is_explicit(opclass: &str, kind: &Type) -> bool {
    opclass.ends_with("_pattern_ops") || (opclass == "varchar_ops" && kind.base == "text")
}

impl Type {
    /// Takes apart what `format_type` writes.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (text, is_array) = match text.split_once('[') {
            Some((element, _)) => (element.trim_end(), true),
            None => (text, false),
        };
        let (before, rest) = text.split_once('(').unwrap_or((text, ""));
        let (inside, after) = rest.split_once(')').unwrap_or(("", rest));
        let modifiers: Vec<i32> = inside.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        let mut base = [before.trim(), after.trim()].join(" ").trim().to_owned();
        let mut fields = String::new();
        if let Some(of_interval) = base.strip_prefix("interval ") {
            fields = of_interval.to_owned();
            base = "interval".to_owned();
        }
        if matches!(base.as_str(), "timestamp" | "time") {
            base.push_str(" without time zone");
        }
        let mut modifiers = modifiers;
        match base.as_str() {
            // `char` alone is one letter, and `bpchar` has no length.
            "bpchar" => "character".clone_into(&mut base),
            "character" | "bit" if modifiers.is_empty() => modifiers.push(1),
            _ => {}
        }
        Self { base, modifiers, fields, is_array }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: &str, to: &str) -> bool {
        let catalog = Catalog::default();
        let (old, new) = (resolve(&catalog, from), resolve(&catalog, to));
        needs_rewrite(&catalog, &Column::default(), &old, &new, None, &mut Vec::new())
    }

    #[track_caller]
    fn check(from: &str, to: &str, rewrites: bool) {
        assert_eq!(change(from, to), rewrites, "{from} to {to}");
    }

    #[test]
    fn types_are_taken_apart() {
        let timestamp = Type::parse("timestamp(3) with time zone");
        assert_eq!((timestamp.base.as_str(), timestamp.modifiers), ("timestamp with time zone", vec![3]));
        let interval = Type::parse("interval day to second(2)");
        assert_eq!((interval.base.as_str(), interval.fields.as_str()), ("interval", "day to second"));
        assert_eq!(interval.modifiers, [2]);
        assert!(Type::parse("character varying(10)[]").is_array);
    }

    #[test]
    fn widening_writes_nothing() {
        check("character varying(40)", "character varying(80)", false);
        check("character varying(40)", "character varying", false);
        check("character varying(40)", "text", false);
        check("numeric(10,2)", "numeric(14,2)", false);
        check("numeric(10,2)", "numeric", false);
        check("timestamp(3) without time zone", "timestamp without time zone", false);
        check("interval day to hour", "interval day to second", false);
        check("cidr", "inet", false);
        check("bit varying(8)", "bit varying(16)", false);
    }

    #[test]
    fn narrowing_and_converting_rewrite() {
        check("character varying(40)", "character varying(20)", true);
        check("text", "character varying(200)", true);
        check("integer", "bigint", true);
        check("numeric(10,2)", "numeric(14,4)", true);
        check("numeric", "numeric(10,2)", true);
        check("timestamp without time zone", "timestamp(3) without time zone", true);
        check("inet", "cidr", true);
        check("character(8)", "text", true);
        check("integer[]", "bigint[]", true);
        check("interval", "interval year to month", true);
    }

    #[test]
    fn time_zones_decide_about_timestamps() {
        check("timestamp without time zone", "timestamp with time zone", true);
        let mut catalog = Catalog::default();
        catalog.server.settings.insert("TimeZone".into(), "Etc/UTC".into());
        let (old, new) =
            (resolve(&catalog, "timestamp without time zone"), resolve(&catalog, "timestamp with time zone"));
        let mut depends_on = Vec::new();
        assert!(!needs_rewrite(&catalog, &Column::default(), &old, &new, None, &mut depends_on));
        assert!(depends_on.is_empty());
    }
}
