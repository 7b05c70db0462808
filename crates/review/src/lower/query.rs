//! SELECT, INSERT, UPDATE, DELETE, MERGE and COPY.

use super::settings::literal_or_word;
use super::tree::{K, Node, Source, Tree, is_query, string_of, text_of};
use crate::statement::{
    Assignment, Copy, CopyPlace, CreateTableAs, InsertSource, OnConflict, Persistence, Query, QueryKind,
    Statement,
};

impl Source<'_> {
    pub(crate) fn query(&self, node: &Node) -> Query {
        let gathered = self.gather(node);
        let outer = unwrapped(node);
        let kind = match outer.kind() {
            K::VALUES => QueryKind::Values,
            K::TABLE => QueryKind::Table,
            K::INSERT => QueryKind::Insert,
            K::UPDATE => QueryKind::Update,
            K::DELETE => QueryKind::Delete,
            K::MERGE => QueryKind::Merge,
            _ => QueryKind::Select,
        };
        let is_write =
            matches!(kind, QueryKind::Insert | QueryKind::Update | QueryKind::Delete | QueryKind::Merge);
        let join = outer.first(K::USING_ON_CLAUSE);
        let condition = match &join {
            Some(join) => self.clause(join, K::ON_CLAUSE),
            None => self.clause(&outer, K::WHERE_CLAUSE),
        };
        Query {
            span: self.span_of(node),
            text: text_of(node),
            kind,
            target: if is_write { self.target(&outer) } else { None },
            reads: gathered.reads,
            writes: gathered.writes,
            condition,
            is_joined: is_write
                && (join.is_some() || outer.has(K::FROM_CLAUSE) || outer.has(K::USING_CLAUSE)),
            has_limit: [node, &outer]
                .iter()
                .any(|node| node.has(K::LIMIT_CLAUSE) || node.has(K::FETCH_CLAUSE)),
            has_returning: outer.has(K::RETURNING_CLAUSE),
            columns: if kind == QueryKind::Insert {
                self.columns(&outer, K::COLUMN_TARGET_LIST)
            } else {
                Vec::new()
            },
            source: if kind == QueryKind::Insert { insert_source(&outer) } else { None },
            on_conflict: outer.first(K::ON_CONFLICT_CLAUSE).map(|clause| self.on_conflict(&clause)),
            assignments: outer.first(K::SET_CLAUSE).map(|set| self.assignments(&set)).unwrap_or_default(),
            row_locks: gathered.row_locks,
            functions: gathered.functions,
            columns_used: gathered.columns,
            ctes: gathered.ctes,
            is_positioned: outer.has(K::WHERE_CURRENT_OF),
            runs: Vec::new(),
        }
    }

    /// The query that is a direct child.
    pub(crate) fn query_in(&self, node: &Node) -> Option<Query> {
        node.children().find(|child| is_query(child.kind())).map(|query| self.query(&query))
    }

    pub(super) fn query_statement(&self, node: &Node) -> Statement {
        match node.first(K::INTO_CLAUSE).filter(|_| node.kind() == K::SELECT_INTO && !self.is_plpgsql) {
            Some(into) => Statement::CreateTableAs(Box::new(CreateTableAs {
                name: self.name_in(&into, K::TABLE_NAME),
                persistence: persistence(&into),
                query: self.query(node),
                is_select_into: true,
                ..CreateTableAs::default()
            })),
            None => Statement::Query(Box::new(self.query(node))),
        }
    }

    fn on_conflict(&self, node: &Node) -> OnConflict {
        let items = node.deep(K::CONFLICT_INDEX_ITEM_LIST);
        let items = items.iter().flat_map(|list| list.every(K::CONFLICT_INDEX_ITEM));
        let columns = items.filter_map(|item| item.first(K::NAME_REF));
        OnConflict {
            columns: self.identifiers(columns),
            constraint: node.deep(K::CONSTRAINT_NAME_REF).map(|name| self.identifier(&name)),
            is_update: node.has(K::CONFLICT_DO_UPDATE_SET),
        }
    }

    fn assignments(&self, set: &Node) -> Vec<Assignment> {
        let Some(list) = set.first(K::SET_COLUMN_LIST) else { return Vec::new() };
        list.children().flat_map(|one| self.assignment(&one)).collect()
    }

    fn assignment(&self, node: &Node) -> Vec<Assignment> {
        let span = self.span_of(node);
        let right = |holder: &Node| self.expression_in(holder);
        if let Some(target) = node.first(K::COLUMN_TARGET) {
            let Some(column) = self.identifier_in(&target, K::COLUMN_NAME_REF) else { return Vec::new() };
            return vec![Assignment {
                column,
                expression: node.first(K::SET_EXPR).as_ref().and_then(right),
                span,
            }];
        }
        let columns = self.columns(node, K::COLUMN_TARGET_LIST);
        let values = node.first(K::SET_EXPR_LIST).map(|list| list.every(K::SET_EXPR)).unwrap_or_default();
        let whole = node.first(K::PAREN_SELECT).map(|query| self.expression(&query));
        let pair = |(index, column)| Assignment {
            column,
            expression: values.get(index).and_then(right).or_else(|| whole.clone()),
            span,
        };
        columns.into_iter().enumerate().map(pair).collect()
    }

    pub(super) fn copy(&self, node: &Node) -> Copy {
        let table = node.first(K::COPY_TABLE);
        let direction = node.first_of(&[K::COPY_FROM, K::COPY_TO]);
        let program = direction.as_ref().and_then(|direction| direction.first(K::COPY_PROGRAM));
        let place = match program {
            Some(program) => {
                let text = program.first(K::LITERAL).and_then(|text| string_of(&text)).unwrap_or_default();
                if program.has(K::PROGRAM_KW) { CopyPlace::Program(text) } else { CopyPlace::File(text) }
            }
            None => CopyPlace::Standard,
        };
        let options = node.first(K::COPY_OPTION_LIST);
        let options = options.iter().flat_map(|list| list.every(K::COPY_OPTION));
        let legacy = node.every(K::COPY_LEGACY_OPTION);
        let name = table.as_ref().and_then(|table| table.first(K::TABLE_NAME_REF));
        Copy {
            table: name.map(|name| self.table_use(&name)),
            columns: table.map(|table| self.columns(&table, K::COLUMN_REF_LIST)).unwrap_or_default(),
            query: node.first(K::COPY_QUERY).and_then(|query| self.query_in(&query)),
            is_from: direction.is_some_and(|direction| direction.kind() == K::COPY_FROM),
            place,
            options: options.chain(legacy).map(|option| literal_or_word(self, &option)).collect(),
            condition: self.clause(node, K::WHERE_CLAUSE),
            rows: None,
        }
    }
}

/// Without the parentheses around a whole query.
fn unwrapped(node: &Node) -> Node {
    let mut node = node.clone();
    while node.kind() == K::PAREN_SELECT {
        match node.children().find(|child| is_query(child.kind())) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}

fn insert_source(node: &Node) -> Option<InsertSource> {
    if node.has(K::DEFAULT_VALUES) {
        return Some(InsertSource::DefaultValues);
    }
    match node.children().find(|child| is_query(child.kind()))? {
        values if values.kind() == K::VALUES => {
            let rows = values.first(K::ROW_LIST).map_or(0, |list| list.every(K::ROW).len());
            Some(InsertSource::Values(rows))
        }
        _ => Some(InsertSource::Query),
    }
}

pub(super) fn persistence(node: &Node) -> Persistence {
    if node.has(K::TEMP) {
        Persistence::Temporary
    } else if node.has(K::UNLOGGED) || node.has(K::OPTION_UNLOGGED) {
        Persistence::Unlogged
    } else {
        Persistence::Permanent
    }
}
