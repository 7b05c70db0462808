//! Catalogs made comparable: what a simulation cannot write as the server does is brought to one form on both sides.
//!
//! The server writes expressions back from its own trees, with casts, parentheses and schemas that nobody wrote. Those
//! are left out, so that expressions which differ in nothing else are taken to be the same. Not for: proving that two
//! expressions mean the same.

use posthaste_base::catalog::{Catalog, Constraint, ConstraintKind, Relation, RelationKind};

use crate::lexeme::{Lexeme, LexemeKind, lexemes};
use crate::lower::fold_name;

/// The catalog with expressions in few words, keys and types by their structure, and without what is temporary,
/// chosen by the server's configuration, or read from a query.
pub fn comparable(catalog: &Catalog) -> Catalog {
    let mut catalog = catalog.clone();
    catalog.relations.retain(|relation| !relation.is_temporary);
    let schemas = catalog.schemas.clone();
    let plain = |text: &str| plain(text, &schemas);
    for relation in &mut catalog.relations {
        compare_relation(relation, &plain);
    }
    for known in &mut catalog.types {
        known.default = known.default.as_deref().map(&plain);
        known.checks.iter_mut().for_each(|check| compare_constraint(check, &plain));
        known.checks.sort_by(|a, b| a.name.cmp(&b.name));
    }
    catalog.functions.retain(|function| function.name.schema != "pg_catalog");
    for function in &mut catalog.functions {
        function.body = None;
        for text in function.arguments.iter_mut().chain([&mut function.returns]) {
            *text = unqualified(text);
        }
    }
    for extension in &mut catalog.extensions {
        extension.version = String::new();
    }
    catalog.extensions.retain(|extension| extension.name != "plpgsql");
    catalog
}

fn compare_relation(relation: &mut Relation, plain: &dyn Fn(&str) -> String) {
    // Columns of views and their like come from queries, which are not evaluated.
    let is_made_by_query = relation.columns.is_empty()
        || matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
    if is_made_by_query {
        relation.columns.clear();
    }
    for column in &mut relation.columns {
        column.default = column.default.as_deref().map(plain);
        column.type_name = unqualified(&column.type_name);
    }
    for constraint in &mut relation.constraints {
        compare_constraint(constraint, plain);
    }
    for index in &mut relation.indexes {
        for key in &mut index.keys {
            key.expression = key.expression.as_deref().map(plain);
            // The default of a type is not known here.
            key.opclass = String::new();
            key.collation = None;
        }
        index.predicate = index.predicate.as_deref().map(plain);
    }
    if let Some(key) = &mut relation.partition_key {
        key.definition = plain(&key.definition);
    }
    if let Some(partition) = &mut relation.partition {
        partition.bound = plain(&partition.bound);
    }
    relation.parents.sort();
    relation.rules.sort();
    relation.policies.sort();
    relation.statistics.sort();
}

/// Keys by their structure, others by their words.
fn compare_constraint(constraint: &mut Constraint, plain: &dyn Fn(&str) -> String) {
    constraint.definition = match (&constraint.kind, &constraint.references) {
        (ConstraintKind::ForeignKey, Some(to)) => format!(
            "{:?} to {}{:?} {} {}",
            constraint.columns,
            to.table.quoted(),
            to.columns,
            to.on_delete,
            to.on_update
        ),
        (ConstraintKind::Trigger, _) => "TRIGGER".to_owned(),
        (ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::NotNull, _) => {
            format!("{:?} {:?}", constraint.kind, constraint.columns)
        }
        _ => plain(constraint.definition.trim_end_matches(" NOT VALID").trim_end_matches(" NOT ENFORCED")),
    };
}

/// Without the schema before a type's name.
fn unqualified(type_name: &str) -> String {
    match type_name.rsplit_once('.') {
        Some((_, name)) if !type_name.contains('(') || type_name.find('(') > type_name.find('.') => {
            name.to_owned()
        }
        _ => type_name.to_owned(),
    }
}

/// An expression in few words: folded, without parentheses, casts and schemas; `= ANY (ARRAY[...])` is an IN.
fn plain(text: &str, schemas: &[String]) -> String {
    let words = lexemes(text);
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).map_or("", |word| word.text);
        if word.text == ":" && next == ":" {
            at = after_cast(&words, at + 2);
            continue;
        }
        if next == "." && schemas.iter().any(|schema| is_name(word, schema)) {
            at += 2;
            continue;
        }
        at += 1;
        match word.text {
            "(" | ")" | "[" | "]" => {}
            "=" if next.eq_ignore_ascii_case("any") => {
                found.push("in".to_owned());
                at += 1;
            }
            _ if word.is("array") || word.is("btree") => {}
            _ => found.push(plain_word(word)),
        }
    }
    found.join(" ")
}

fn plain_word(word: &Lexeme) -> String {
    match word.kind {
        LexemeKind::Word | LexemeKind::QuotedName => fold_name(word.text),
        // Of `nextval('public.s')` the name alone.
        LexemeKind::String => match word.text.rsplit_once('.') {
            Some((before, name)) if before.chars().skip(1).all(|c| c.is_alphanumeric() || c == '_') => {
                format!("'{name}")
            }
            // The bound of a partition by days is written with its time by the server.
            _ => {
                let text =
                    word.text.trim_end_matches('\'').trim_end_matches("+00").trim_end_matches(" 00:00:00");
                format!("{}'", text)
            }
        },
        LexemeKind::Other => word.text.replace("!=", "<>"),
    }
}

fn is_name(word: &Lexeme, name: &str) -> bool {
    word.kind != LexemeKind::String && fold_name(word.text) == name
}

/// Behind the name of a type: `s.t(5,2)[]`, `timestamp with time zone`, `double precision`.
fn after_cast(words: &[Lexeme], start: usize) -> usize {
    let text = |at: usize| words.get(at).map_or("", |word| word.text);
    let mut at = start + 1;
    while text(at) == "." {
        at += 2;
    }
    if matches!(text(at), "varying" | "precision") {
        at += 1;
    }
    if text(at) == "(" {
        while at < words.len() && text(at) != ")" {
            at += 1;
        }
        at += 1;
    }
    if matches!(text(at), "with" | "without") && text(at + 1) == "time" {
        at += 3;
    }
    while text(at) == "[" {
        at += 2;
    }
    at
}

/// Whether a name is among the words of an expression.
pub(super) fn names(text: &str, name: &str) -> bool {
    lexemes(text).iter().any(|word| is_name(word, name))
}

/// The expression with another name in place of one.
pub(super) fn renamed(text: &str, from: &str, to: &str) -> String {
    let mut renamed = String::new();
    let mut end = 0;
    for word in lexemes(text).iter().filter(|word| is_name(word, from)) {
        renamed.push_str(&text[end..word.start]);
        renamed.push_str(&crate::lower::quoted(to));
        end = word.end();
    }
    renamed.push_str(&text[end..]);
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, of_server: &str) {
        let schemas = ["public".to_owned()];
        assert_eq!(plain(written, &schemas), plain(of_server, &schemas));
    }

    #[test]
    fn server_s_words_and_the_user_s_are_the_same() {
        check("score >= 0 AND score <= 100", "((score >= (0)::numeric) AND (score <= (100)::numeric))");
        check("state in ('a', 'b')", "(state = ANY (ARRAY['a'::text, 'b'::text]))");
        check("nextval('s')", "nextval('public.s'::regclass)");
        check("Lower(Email)", "lower((email)::text)");
        check("'x'", "'x'::character varying(5)");
        check("'2024-01-01'", "'2024-01-01'::timestamp(3) with time zone");
    }

    #[test]
    fn names_are_replaced_where_they_are_names() {
        assert_eq!(
            renamed("a > 1 and \"a\" <> 'a' and f(A)", "a", "B c"),
            "\"B c\" > 1 and \"B c\" <> 'a' and f(\"B c\")"
        );
    }
}
