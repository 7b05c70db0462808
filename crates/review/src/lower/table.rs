//! CREATE TABLE, CREATE FOREIGN TABLE, CREATE TABLE AS, CREATE INDEX, and columns.

use super::query::persistence;
use super::tree::{K, Node, Source, Tree, integer_of, is_expression, name_of, text_of};
use crate::statement::{
    ColumnConstraint, ColumnConstraintKind, ColumnDefinition, ConstraintTiming, CreateIndex, CreateTable,
    CreateTableAs, HashBound, IndexKey, LikeClause, NullsOrder, OnCommit, PartitionBound, PartitionBy,
    PartitionKeyPart, Query, Setting,
};

impl Source<'_> {
    pub(super) fn create_table(&self, node: &Node) -> CreateTable {
        let mut table = CreateTable {
            name: self.name_in(node, K::TABLE_NAME),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            persistence: persistence(node),
            partition_of: node.first(K::PARTITION_OF).map(|of| self.name_in(&of, K::TABLE_NAME_REF)),
            bound: self.bound(node),
            partition_by: node.first(K::PARTITION_BY).map(|by| self.partition_by(&by)),
            of_type: node.first(K::OF_TYPE).and_then(|of| self.type_in(&of)).map(|of| of.name),
            access_method: self.access_method(node),
            options: self.with_params(node),
            on_commit: on_commit(node),
            tablespace: self.tablespace(node),
            server: node.first(K::SERVER_CLAUSE).map(|server| self.identifier(&server)),
            foreign_options: self.foreign_options(node),
            ..CreateTable::default()
        };
        if let Some(inherits) = node.first(K::INHERITS) {
            table.inherits = inherits.every(K::TABLE_NAME_REF).iter().map(|name| self.name(name)).collect();
        }
        let arguments = node.first(K::TABLE_ARG_LIST);
        for argument in arguments.iter().flat_map(|list| list.children()) {
            match argument.kind() {
                K::COLUMN => table.columns.push(self.column_definition(&argument)),
                K::LIKE_CLAUSE => table.likes.push(self.like(&argument)),
                _ => table.constraints.extend(self.table_constraint(&argument)),
            }
        }
        table
    }

    pub(super) fn create_table_as(&self, node: &Node) -> CreateTableAs {
        let columns = node.first(K::TABLE_ARG_LIST);
        let columns = columns.iter().flat_map(|list| list.every(K::COLUMN));
        let query = self.query_in(node);
        CreateTableAs {
            name: self.name_in(node, K::TABLE_NAME),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            persistence: persistence(node),
            columns: columns.filter_map(|column| self.identifier_in(&column, K::COLUMN_NAME)).collect(),
            access_method: self.access_method(node),
            options: self.with_params(node),
            on_commit: on_commit(node),
            tablespace: self.tablespace(node),
            is_execute: query.is_none(),
            query: query.unwrap_or_else(|| Query { span: self.span_of(node), ..Query::default() }),
            with_no_data: node.has(K::WITH_NO_DATA),
            is_select_into: false,
        }
    }

    pub(super) fn access_method(&self, node: &Node) -> Option<crate::statement::Identifier> {
        let method = node.first_of(&[K::USING_METHOD, K::CONSTRAINT_INDEX_METHOD])?;
        self.identifier_in(&method, K::ACCESS_METHOD_REF)
    }

    pub(super) fn tablespace(&self, node: &Node) -> Option<crate::statement::Identifier> {
        let clause = node.first_of(&[K::TABLESPACE_CLAUSE, K::CONSTRAINT_INDEX_TABLESPACE])?;
        self.identifier_in(&clause, K::TABLESPACE_REF)
    }

    /// A column of CREATE TABLE, or the clause ADD COLUMN, which holds the same.
    pub(super) fn column_definition(&self, node: &Node) -> ColumnDefinition {
        let text = |kind: K, inner: K| Some(name_of(&node.first(kind)?.first(inner)?));
        let mut constraints: Vec<ColumnConstraint> = Vec::new();
        for child in node.children() {
            constraints.extend(self.column_constraint(&child));
        }
        let names = [K::COLUMN_NAME, K::COMPOSITE_FIELD];
        ColumnDefinition {
            span: match node.kind() {
                // Without the words ADD COLUMN.
                K::ADD_COLUMN | K::ADD_ATTRIBUTE => self.span_from(node, &names),
                _ => self.span_of(node),
            },
            name: node.first_of(&names).map(|name| self.identifier(&name)).unwrap_or_default(),
            type_name: self.type_in(node),
            collation: self.collation(node),
            storage: text(K::STORAGE, K::STORAGE_MODE),
            compression: text(K::COMPRESSION_METHOD, K::COMPRESSION_METHOD_NAME),
            constraints,
            foreign_options: self.foreign_options(node),
        }
    }

    fn span_from(&self, node: &Node, names: &[K]) -> crate::statement::Span {
        let whole = self.span_of(node);
        let start = node.first_of(names).map_or(whole.start, |name| self.span_of(&name).start);
        crate::statement::Span::new(start, whole.end)
    }

    pub(super) fn collation(&self, node: &Node) -> Option<crate::statement::ObjectName> {
        let collate = node.first(K::COLLATE)?;
        Some(self.name_in(&collate, K::COLLATION_REF))
    }

    fn column_constraint(&self, node: &Node) -> Option<ColumnConstraint> {
        let no_inherit = node.has(K::NO_INHERIT);
        let parameters = node.first(K::INDEX_PARAMETERS).unwrap_or_else(|| node.clone());
        let include = self.include(&parameters);
        let options = self.with_params(&parameters);
        let tablespace = self.tablespace(&parameters);
        let kind = match node.kind() {
            K::NOT_NULL_CONSTRAINT => ColumnConstraintKind::NotNull { no_inherit },
            K::NULL_CONSTRAINT => ColumnConstraintKind::Null,
            K::DEFAULT_CONSTRAINT => ColumnConstraintKind::Default(self.expression_in(node)?),
            K::GENERATED_CONSTRAINT => self.generated(node)?,
            K::CHECK_CONSTRAINT => {
                ColumnConstraintKind::Check { expression: self.expression_in(node)?, no_inherit }
            }
            K::UNIQUE_CONSTRAINT => ColumnConstraintKind::Unique {
                nulls_not_distinct: parameters.has(K::NULLS_NOT_DISTINCT),
                include,
                options,
                tablespace,
            },
            K::PRIMARY_KEY_CONSTRAINT => ColumnConstraintKind::PrimaryKey { include, options, tablespace },
            K::REFERENCES_CONSTRAINT => ColumnConstraintKind::References(self.foreign_key(node)),
            _ => return None,
        };
        Some(ColumnConstraint {
            span: self.span_of(node),
            name: self.constraint_name(node),
            kind,
            timing: timing(node),
        })
    }

    fn generated(&self, node: &Node) -> Option<ColumnConstraintKind> {
        if let Some(identity) = node.first(K::GENERATED_IDENTITY) {
            let list = identity.first(K::SEQUENCE_OPTION_LIST);
            return Some(ColumnConstraintKind::Identity {
                is_always: identity.has(K::GENERATED_ALWAYS),
                options: list.map(|list| self.sequence_options(&list)).unwrap_or_default(),
            });
        }
        let stored = node.first(K::GENERATED_STORED)?;
        let kind = if stored.has(K::STORED) {
            crate::statement::GeneratedKind::Stored
        } else if stored.has(K::VIRTUAL) {
            crate::statement::GeneratedKind::Virtual
        } else {
            crate::statement::GeneratedKind::Unmarked
        };
        Some(ColumnConstraintKind::Generated { kind, expression: self.expression_in(&stored)? })
    }

    fn like(&self, node: &Node) -> LikeClause {
        let properties = |kind: K| -> Vec<String> {
            node.every(kind).iter().filter_map(|one| one.first_child()).map(|one| one.words()).collect()
        };
        LikeClause {
            table: self.name_in(node, K::RELATION_NAME_REF),
            including: properties(K::INCLUDING_PROPERTY),
            excluding: properties(K::EXCLUDING_PROPERTY),
            span: self.span_of(node),
        }
    }

    /// FOR VALUES or DEFAULT that is a direct child.
    pub(super) fn bound(&self, node: &Node) -> Option<PartitionBound> {
        let node = node.first_of(&[
            K::PARTITION_FOR_VALUES_IN,
            K::PARTITION_FOR_VALUES_FROM,
            K::PARTITION_FOR_VALUES_WITH,
            K::PARTITION_DEFAULT,
        ])?;
        let span = self.span_of(&node);
        let values = |kind: K| node.first(kind).map(|list| self.expressions(&list)).unwrap_or_default();
        Some(match node.kind() {
            K::PARTITION_FOR_VALUES_IN => PartitionBound::List { span, values: self.expressions(&node) },
            K::PARTITION_FOR_VALUES_FROM => PartitionBound::Range {
                span,
                from: values(K::PARTITION_FROM_VALUES),
                to: values(K::PARTITION_TO_VALUES),
            },
            K::PARTITION_FOR_VALUES_WITH => {
                let mut bound = HashBound { modulus: 0, remainder: 0 };
                for part in node.every(K::HASH_PARTITION_BOUND) {
                    let number = part.first(K::LITERAL).as_ref().and_then(integer_of).unwrap_or_default();
                    let number = u32::try_from(number).unwrap_or_default();
                    if part.words().starts_with("modulus") {
                        bound.modulus = number;
                    } else {
                        bound.remainder = number;
                    }
                }
                PartitionBound::Hash { span, bound }
            }
            _ => PartitionBound::Default { span },
        })
    }

    fn partition_by(&self, node: &Node) -> PartitionBy {
        let keys = self.keys(node);
        let part = |key: IndexKey| PartitionKeyPart {
            column: key.column,
            expression: key.expression,
            collation: key.collation,
            opclass: key.opclass,
        };
        PartitionBy {
            span: self.span_of(node),
            strategy: node.first(K::PARTITION_STRATEGY).map(|strategy| strategy.words()).unwrap_or_default(),
            keys: keys.into_iter().map(part).collect(),
        }
    }

    pub(super) fn create_index(&self, node: &Node) -> CreateIndex {
        let table = node.first(K::TABLE_RELATION_NAME);
        CreateIndex {
            name: self.identifier_in(node, K::INDEX),
            table: table.as_ref().map(|table| self.name_in(table, K::TABLE_NAME_REF)).unwrap_or_default(),
            is_unique: node.has(K::UNIQUE_KW),
            is_concurrent: node.has(K::CONCURRENTLY_KW),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            is_only: table.is_some_and(|table| table.has(K::ONLY_KW)),
            method: self.access_method(node),
            keys: self.keys(node),
            include: self.include(node),
            nulls_not_distinct: node.has(K::NULLS_NOT_DISTINCT),
            options: self.with_params(node),
            tablespace: self.tablespace(node),
            predicate: self.clause(node, K::WHERE_CLAUSE),
        }
    }

    /// INCLUDE (...) that is a direct child: of an index, or of a constraint.
    pub(super) fn include(&self, node: &Node) -> Vec<crate::statement::Identifier> {
        if let Some(clause) = node.first(K::CONSTRAINT_INCLUDE_CLAUSE) {
            return self.columns(&clause, K::COLUMN_REF_LIST);
        }
        let clause = node.first(K::INDEX_INCLUDE_CLAUSE);
        let keys = clause.map(|clause| self.keys(&clause)).unwrap_or_default();
        keys.into_iter().filter_map(|key| key.column).collect()
    }

    fn keys(&self, node: &Node) -> Vec<IndexKey> {
        let list = node.first(K::PARTITION_ITEM_LIST);
        list.iter().flat_map(|list| list.every(K::PARTITION_ITEM)).map(|item| self.index_key(&item)).collect()
    }

    /// A key of an index, of a partition key, or of an exclusion, whose expression is a direct child. With COLLATE
    /// squawk puts the expression into that node.
    pub(super) fn index_key(&self, item: &Node) -> IndexKey {
        let collate = item.first(K::COLLATE);
        let inner = collate.as_ref().and_then(|collate| collate.expression());
        let expression = inner.or_else(|| item.children().find(|child| is_expression(child.kind())));
        let is_column = expression.as_ref().is_some_and(|node| node.kind() == K::NAME_REF);
        let nulls = if item.has(K::NULLS_FIRST) {
            Some(NullsOrder::First)
        } else {
            item.has(K::NULLS_LAST).then_some(NullsOrder::Last)
        };
        IndexKey {
            span: self.span_of(item),
            column: expression.as_ref().filter(|_| is_column).map(|node| self.identifier(node)),
            expression: expression.filter(|_| !is_column).map(|node| self.expression(&node)),
            collation: collate.map(|collate| self.name_in(&collate, K::COLLATION_REF)),
            opclass: item.first(K::OP_CLASS_REF).map(|class| self.name(&class)),
            opclass_options: self.attributes(item),
            is_descending: item.has(K::SORT_DESC),
            nulls,
        }
    }
}

fn on_commit(node: &Node) -> Option<OnCommit> {
    match node.first(K::ON_COMMIT)?.first_child()?.kind() {
        K::PRESERVE_ROWS => Some(OnCommit::PreserveRows),
        K::DELETE_ROWS => Some(OnCommit::DeleteRows),
        K::DROP => Some(OnCommit::Drop),
        _ => None,
    }
}

/// DEFERRABLE and its like, which are direct children of a constraint.
pub(super) fn timing(node: &Node) -> ConstraintTiming {
    let is_initially_deferred = node.has(K::INITIALLY_DEFERRED_CONSTRAINT_OPTION);
    ConstraintTiming {
        // INITIALLY DEFERRED alone makes it deferrable.
        is_deferrable: node.has(K::DEFERRABLE_CONSTRAINT_OPTION) || is_initially_deferred,
        is_initially_deferred,
        is_not_enforced: node.has(K::NOT_ENFORCED),
        is_not_valid: node.has(K::NOT_VALID),
    }
}

/// The names in a list of attributes, as RESET writes them.
pub(super) fn names_of(settings: Vec<Setting>) -> Vec<String> {
    settings.into_iter().map(|setting| setting.name).collect()
}

/// The value of a clause as written, behind its first word.
pub(super) fn last_words(node: &Node) -> String {
    node.last_child().map(|node| text_of(&node)).unwrap_or_default()
}
