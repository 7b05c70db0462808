//! Constraints of tables and domains.

use super::gather::operator_of;
use super::table::timing;
use super::tree::{K, Node, Source, Tree, text_of};
use crate::statement::{
    ExclusionElement, ForeignKey, ForeignKeyAction, Identifier, TableConstraint, TableConstraintKind,
};

impl Source<'_> {
    pub(super) fn constraint_name(&self, node: &Node) -> Option<Identifier> {
        self.identifier_in(&node.first(K::CONSTRAINT_NAME_CLAUSE)?, K::CONSTRAINT_NAME)
    }

    pub(super) fn table_constraint(&self, node: &Node) -> Option<TableConstraint> {
        Some(TableConstraint {
            span: self.span_of(node),
            name: self.constraint_name(node),
            kind: self.constraint_kind(node)?,
            timing: timing(node),
        })
    }

    fn constraint_kind(&self, node: &Node) -> Option<TableConstraintKind> {
        let no_inherit = node.has(K::NO_INHERIT);
        Some(match node.kind() {
            K::CHECK_CONSTRAINT => {
                TableConstraintKind::Check { expression: self.expression_in(node)?, no_inherit }
            }
            K::NOT_NULL_CONSTRAINT => TableConstraintKind::NotNull {
                column: self.identifier_in(node, K::COLUMN_NAME_REF).unwrap_or_default(),
                no_inherit,
            },
            K::UNIQUE_CONSTRAINT | K::PRIMARY_KEY_CONSTRAINT => self.key_constraint(node),
            K::FOREIGN_KEY_CONSTRAINT => TableConstraintKind::ForeignKey {
                columns: self.columns(node, K::FOREIGN_KEY_COLUMN_LIST),
                key: self.foreign_key(node),
            },
            K::EXCLUDE_CONSTRAINT => self.exclusion(node),
            _ => return None,
        })
    }

    fn key_constraint(&self, node: &Node) -> TableConstraintKind {
        let using = node.first(K::USING_INDEX_NAME);
        let using_index = using.and_then(|using| self.identifier_in(&using, K::INDEX_REF));
        let parameters = node.first(K::INDEX_PARAMETERS).unwrap_or_else(|| node.clone());
        let columns = self.columns(&parameters, K::CONSTRAINT_COLUMN_REF_LIST);
        let list = parameters.first(K::CONSTRAINT_COLUMN_REF_LIST);
        let without_overlaps = list.is_some_and(|list| list.has(K::WITHOUT_OVERLAPS));
        let include = self.include(&parameters);
        let options = self.with_params(&parameters);
        let tablespace = self.tablespace(&parameters);
        if node.kind() == K::PRIMARY_KEY_CONSTRAINT {
            return TableConstraintKind::PrimaryKey {
                columns,
                without_overlaps,
                include,
                using_index,
                options,
                tablespace,
            };
        }
        let nulls_not_distinct = parameters.has(K::NULLS_NOT_DISTINCT);
        TableConstraintKind::Unique {
            columns,
            nulls_not_distinct,
            without_overlaps,
            include,
            using_index,
            options,
            tablespace,
        }
    }

    /// FOREIGN KEY of a table and REFERENCES of a column.
    pub(super) fn foreign_key(&self, node: &Node) -> ForeignKey {
        let lists = node.every(K::FOREIGN_KEY_COLUMN_LIST);
        let columns = match lists.as_slice() {
            [_, columns] => {
                let is_column = |kind| matches!(kind, K::COLUMN_NAME_REF | K::PERIOD_COLUMN);
                self.identifiers(columns.children().filter(|child| is_column(child.kind())))
            }
            _ => self.identifiers(node.every(K::COLUMN_NAME_REF)),
        };
        let matching = node.first_of(&[K::MATCH_FULL, K::MATCH_PARTIAL, K::MATCH_SIMPLE]);
        let (on_delete, on_delete_columns) = self.action(node.first(K::ON_DELETE_ACTION));
        let (on_update, _) = self.action(node.first(K::ON_UPDATE_ACTION));
        ForeignKey {
            table: self.name_in(node, K::TABLE_NAME_REF),
            columns,
            matching: matching.map(|node| node.words().trim_start_matches("match ").to_uppercase()),
            on_delete,
            on_delete_columns,
            on_update,
            is_period: lists.iter().any(|list| list.has(K::PERIOD_COLUMN)),
        }
    }

    fn action(&self, node: Option<Node>) -> (ForeignKeyAction, Vec<Identifier>) {
        let Some(action) = node.and_then(|node| node.first_child()) else {
            return (ForeignKeyAction::NoAction, Vec::new());
        };
        let kind = match action.kind() {
            K::RESTRICT => ForeignKeyAction::Restrict,
            K::CASCADE => ForeignKeyAction::Cascade,
            K::SET_NULL_COLUMNS => ForeignKeyAction::SetNull,
            K::SET_DEFAULT_COLUMNS => ForeignKeyAction::SetDefault,
            _ => ForeignKeyAction::NoAction,
        };
        (kind, self.columns(&action, K::COLUMN_REF_LIST))
    }

    fn exclusion(&self, node: &Node) -> TableConstraintKind {
        let list = node.first(K::CONSTRAINT_EXCLUSION_LIST);
        let elements = list.iter().flat_map(|list| list.every(K::CONSTRAINT_EXCLUSION));
        TableConstraintKind::Exclude {
            method: self.access_method(node),
            elements: elements.map(|element| self.exclusion_element(&element)).collect(),
            include: self.include(node),
            predicate: self.clause(node, K::WHERE_CONDITION_CLAUSE),
            options: self.with_params(node),
            tablespace: self.tablespace(node),
        }
    }

    /// The operator stands behind WITH, as a token or as a node.
    fn exclusion_element(&self, node: &Node) -> ExclusionElement {
        let is_operator = |child: &Node| matches!(child.kind(), K::CUSTOM_OP | K::OPERATOR_CALL);
        let written = node.children().find(is_operator).map(|operator| text_of(&operator));
        let behind = || {
            let text = text_of(node);
            let at = text.to_lowercase().rfind("with")?;
            Some(text[at + 4..].trim().to_owned())
        };
        let operator = written.or_else(behind).or_else(|| operator_of(node)).unwrap_or_default();
        let key = node.first(K::PARTITION_ITEM).unwrap_or_else(|| node.clone());
        ExclusionElement { key: self.index_key(&key), operator }
    }
}
