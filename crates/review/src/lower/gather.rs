//! What occurs in an expression or a query: tables, functions, columns, casts, operators, row locks.
//!
//! One walk over the tree, which does not ask what the whole means. Not for: the outer shape.

use std::collections::HashSet;

use super::tree::{K, Node, Source, Tree, is_type, name_of, segments, string_of, text_of};
use crate::statement::{
    ColumnUse, FunctionCall, Identifier, ObjectName, RowLock, RowLockMode, TableUse, TableWrite, TypeName,
    WriteKind,
};

#[derive(Default)]
pub(super) struct Gathered {
    pub(super) functions: Vec<FunctionCall>,
    pub(super) columns: Vec<ColumnUse>,
    pub(super) casts: Vec<TypeName>,
    pub(super) operators: Vec<String>,
    pub(super) reads: Vec<TableUse>,
    pub(super) writes: Vec<TableWrite>,
    pub(super) row_locks: Vec<RowLock>,
    pub(super) ctes: Vec<String>,
}

/// Words of the grammar that are called without parentheses.
const VALUE_WORDS: &[K] = &[
    K::CURRENT_CATALOG_KW,
    K::CURRENT_DATE_KW,
    K::CURRENT_ROLE_KW,
    K::CURRENT_SCHEMA_KW,
    K::CURRENT_TIME_KW,
    K::CURRENT_TIMESTAMP_KW,
    K::CURRENT_USER_KW,
    K::LOCALTIME_KW,
    K::LOCALTIMESTAMP_KW,
    K::SESSION_USER_KW,
    K::SYSTEM_USER_KW,
    K::USER_KW,
];

/// Words of the grammar that are called with parentheses, and are no functions that one could look up by that name.
const CALLED_WORDS: &[&str] = &[
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "grouping",
    "row",
    "exists",
    "any",
    "some",
    "all",
    "xmlelement",
    "xmlforest",
    "xmlconcat",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmlexists",
    "json_object",
    "json_array",
    "json_objectagg",
    "json_arrayagg",
    "json_query",
    "json_value",
    "json_exists",
    "json_scalar",
    "json_serialize",
    "json",
    "current_timestamp",
    "current_time",
    "localtime",
    "localtimestamp",
    "merge_action",
];

impl Source<'_> {
    pub(super) fn gather(&self, root: &Node) -> Gathered {
        let mut found = Gathered::default();
        for node in root.descendants() {
            self.gather_node(root, &node, &mut found);
        }
        found
    }

    fn gather_node(&self, root: &Node, node: &Node, found: &mut Gathered) {
        match node.kind() {
            // These are words around a subquery or an array, and no functions.
            K::CALL_EXPR if node.first_of(&[K::EXISTS_FN, K::ANY_FN, K::SOME_FN, K::ALL_FN]).is_some() => {}
            K::CALL_EXPR => found.functions.extend(self.call(node)),
            K::NAME_REF => self.gather_name(node, found),
            K::FIELD_EXPR if !is_part_of_name(node) => self.gather_field(node, found),
            K::COLUMN_NAME_REF => {
                found.columns.push(ColumnUse { table: None, column: self.identifier(node) });
            }
            K::TARGET if node.has(K::STAR) => {
                let star = Identifier::new("*", self.span_of(node));
                found.columns.push(ColumnUse { table: None, column: star });
            }
            K::CAST_EXPR => found.casts.extend(self.type_in(node)),
            K::BIN_EXPR | K::PREFIX_EXPR | K::POSTFIX_EXPR => found.operators.extend(operator_of(node)),
            K::RELATION_NAME_REF if is_read(node) => {
                let table = self.table_use(node);
                if table.name.schema.is_some() || !visible_ctes(node, root).contains(&table.name.name) {
                    found.reads.push(table);
                }
            }
            K::INSERT | K::UPDATE | K::DELETE | K::MERGE => found.writes.extend(self.write(node)),
            K::LOCKING_CLAUSE => found.row_locks.push(self.row_lock(node)),
            K::WITH_TABLE => found.ctes.extend(node.first(K::CTE_NAME).map(|name| name_of(&name))),
            _ => {}
        }
    }

    /// A name that is not a part of a longer one.
    fn gather_name(&self, node: &Node, found: &mut Gathered) {
        if is_part_of_name(node) || node.parent().is_some_and(|parent| parent.kind() == K::LOCKING_OF) {
            return;
        }
        let is_word = node.first_token().is_some_and(|token| VALUE_WORDS.contains(&token.kind()));
        if !is_word {
            return found.columns.push(ColumnUse { table: None, column: self.identifier(node) });
        }
        found.functions.push(FunctionCall {
            name: ObjectName {
                span: self.span_of(node),
                ..ObjectName::new(None, &text_of(node).to_lowercase())
            },
            argument_count: 0,
            span: self.span_of(node),
            is_keyword: true,
            first_string: None,
        });
    }

    /// `t.a`, `s.t.a`, `t.*`.
    fn gather_field(&self, node: &Node, found: &mut Gathered) {
        if !node.descendants().all(|part| matches!(part.kind(), K::FIELD_EXPR | K::NAME_REF)) {
            return;
        }
        let mut parts = segments(node);
        let column = if node.has(K::STAR) { "*".to_owned() } else { parts.pop().unwrap_or_default() };
        found
            .columns
            .push(ColumnUse { table: parts.pop(), column: Identifier::new(column, self.span_of(node)) });
    }

    /// A call, also of the functions that have a grammar of their own, such as `extract` and `exists`.
    pub(super) fn call(&self, node: &Node) -> Option<FunctionCall> {
        let callee = node.first_child()?;
        let span = self.span_of(node);
        let arguments = node.first(K::ARG_LIST).map(|list| list.every(K::ARG)).unwrap_or_default();
        let name = match callee.kind() {
            K::NAME_REF | K::FIELD_EXPR => self.name(&callee),
            _ => {
                let word = callee.first_token()?.text().to_lowercase();
                ObjectName { span: self.span_of(&callee), ..ObjectName::new(None, &word) }
            }
        };
        let is_quoted = text_of(&callee).starts_with('"');
        let is_keyword = name.schema.is_none() && !is_quoted && CALLED_WORDS.contains(&name.name.as_str());
        let first = arguments.first().and_then(|argument| argument.expression());
        let first_string = first.and_then(|first| constant_string(&first));
        Some(FunctionCall { name, argument_count: arguments.len(), span, is_keyword, first_string })
    }

    pub(super) fn table_use(&self, node: &Node) -> TableUse {
        let holder = node.parent();
        let is_only = holder.as_ref().is_some_and(|holder| holder.has(K::ONLY_KW));
        // The alias of an UPDATE or DELETE is beside the name's holder, that of a FROM item in it.
        let places = [holder.clone(), holder.and_then(|holder| holder.parent())];
        let alias = places.into_iter().flatten().find_map(|place| {
            let alias = place.first_of(&[K::FROM_ALIAS, K::OPTIONAL_AS_ALIAS, K::REQUIRED_AS_ALIAS])?;
            alias.first(K::TABLE_ALIAS).map(|alias| name_of(&alias))
        });
        TableUse { name: self.name(node), alias, is_only }
    }

    /// The table that a statement writes.
    pub(super) fn target(&self, node: &Node) -> Option<TableUse> {
        let holder = node.first_of(&[K::RELATION_NAME, K::TABLE_RELATION_NAME]);
        let name = holder.as_ref().unwrap_or(node).first_of(&[K::RELATION_NAME_REF, K::TABLE_NAME_REF])?;
        let mut table = self.table_use(&name);
        let alias = node.first_of(&[K::OPTIONAL_AS_ALIAS, K::REQUIRED_AS_ALIAS]);
        table.alias = alias.and_then(|alias| alias.first(K::TABLE_ALIAS)).map(|alias| name_of(&alias));
        table.is_only = holder.is_some_and(|holder| holder.has(K::ONLY_KW));
        Some(table)
    }

    fn write(&self, node: &Node) -> Option<TableWrite> {
        let kind = match node.kind() {
            K::INSERT => WriteKind::Insert,
            K::UPDATE => WriteKind::Update,
            K::DELETE => WriteKind::Delete,
            _ => WriteKind::Merge,
        };
        let has_condition =
            kind == WriteKind::Merge || node.has(K::WHERE_CLAUSE) || node.has(K::WHERE_CURRENT_OF);
        Some(TableWrite { table: self.target(node)?, kind, has_condition })
    }

    fn row_lock(&self, node: &Node) -> RowLock {
        let mode = if node.has(K::FOR_KEY_SHARE) {
            RowLockMode::KeyShare
        } else if node.has(K::FOR_SHARE) {
            RowLockMode::Share
        } else if node.has(K::FOR_NO_KEY_UPDATE) {
            RowLockMode::NoKeyUpdate
        } else {
            RowLockMode::Update
        };
        let of = node.first(K::LOCKING_OF).map(|of| self.identifiers(of.children())).unwrap_or_default();
        RowLock {
            mode,
            of,
            is_nowait: node.has(K::NOWAIT),
            skips_locked: node.has(K::SKIP_LOCKED),
            span: self.span_of(node),
        }
    }
}

/// A string that is known from the text alone: also `'x'::text`, as defaults are written back by the server.
pub(super) fn constant_string(node: &Node) -> Option<String> {
    match node.kind() {
        K::LITERAL => string_of(node),
        K::CAST_EXPR | K::PAREN_EXPR => constant_string(&node.expression()?),
        _ => None,
    }
}

/// Whether a name is called, or is followed or led by a dot.
fn is_part_of_name(node: &Node) -> bool {
    let Some(parent) = node.parent() else { return false };
    match parent.kind() {
        K::CALL_EXPR => parent.first_child().as_ref() == Some(node),
        K::FIELD_EXPR => true,
        _ => false,
    }
}

/// Whether a relation's name is one that is read: in FROM, or in TABLE. That of UPDATE and its like is not.
fn is_read(node: &Node) -> bool {
    let Some(parent) = node.parent() else { return false };
    match parent.kind() {
        K::RELATION_FROM_ITEM => true,
        K::RELATION_NAME => parent.parent().is_some_and(|holder| holder.kind() == K::TABLE),
        _ => false,
    }
}

/// Names of CTEs that a table's name may mean where it stands.
fn visible_ctes(node: &Node, root: &Node) -> HashSet<String> {
    let mut names = HashSet::new();
    let mut inner = node.clone();
    while inner != *root {
        let Some(outer) = inner.parent() else { break };
        if let Some(with) = outer.first(K::WITH_CLAUSE).filter(|with| *with != inner) {
            names.extend(with.every(K::WITH_TABLE).iter().filter_map(cte_name));
        } else if outer.kind() == K::WITH_CLAUSE {
            let is_recursive = outer.has(K::RECURSIVE_KW);
            let tables = outer.every(K::WITH_TABLE);
            names.extend(
                tables.iter().take_while(|table| is_recursive || **table != inner).filter_map(cte_name),
            );
        }
        inner = outer;
    }
    names
}

fn cte_name(table: &Node) -> Option<String> {
    table.first(K::CTE_NAME).map(|name| name_of(&name))
}

/// The operator of an expression, unless it is one of the words that are no operators of the catalog.
pub(super) fn operator_of(node: &Node) -> Option<String> {
    let is_operand = |kind| super::tree::is_expression(kind) || is_type(kind) || super::tree::is_query(kind);
    let mut words = Vec::new();
    for child in node.children_with_tokens() {
        match child {
            squawk_syntax::SyntaxElement::Node(child) if !is_operand(child.kind()) => {
                let text = text_of(&child);
                words.push(if text.starts_with(char::is_alphabetic) {
                    child.words().to_uppercase()
                } else {
                    text
                });
            }
            squawk_syntax::SyntaxElement::Token(token) if !super::tree::is_trivia(token.kind()) => {
                words.push(token.text().to_uppercase());
            }
            _ => {}
        }
    }
    let operator = words.join(" ");
    let is_word =
        matches!(operator.as_str(), "AND" | "OR" | "NOT" | "IN" | "NOT IN" | "ISNULL" | "NOTNULL" | "VALUE");
    let is_test = operator.starts_with("IS ") || operator == "IS";
    (!operator.is_empty() && !is_word && !is_test).then_some(operator)
}
