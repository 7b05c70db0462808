//! Transactions, settings and upkeep: BEGIN, SET, VACUUM, ANALYZE, REINDEX, LOCK and so on.

use super::settings::value_of;
use super::tree::{K, Node, Source, Token, Tree, name_of, string_of};
use crate::statement::{
    Analyze, Call, Cluster, Explain, LockTable, Prepare, QueryKind, Refresh, Reindex, ReindexKind, Reset,
    Set, SetScope, Setting, Shape, Statement, TableUse, Transaction, Truncate, Vacuum, VacuumTable,
};

impl Source<'_> {
    pub(super) fn transaction(&self, node: &Node) -> Option<Transaction> {
        let savepoint = |kind: K| self.identifier_in(node, kind).unwrap_or_default();
        let literal = || node.first(K::LITERAL).and_then(|id| string_of(&id)).unwrap_or_default();
        let and_chain = node.has(K::AND_CHAIN);
        Some(match node.kind() {
            K::BEGIN => Transaction::Begin { modes: modes(node) },
            K::COMMIT_TRANSACTION => Transaction::Commit { and_chain },
            K::ROLLBACK_TRANSACTION => Transaction::Rollback { and_chain },
            K::COMMIT_PREPARED => Transaction::CommitPrepared { id: literal() },
            K::ROLLBACK_PREPARED => Transaction::RollbackPrepared { id: literal() },
            K::PREPARE_TRANSACTION => Transaction::Prepare { id: literal() },
            K::SAVEPOINT_CREATE => Transaction::Savepoint { name: savepoint(K::SAVEPOINT) },
            K::RELEASE_SAVEPOINT => Transaction::ReleaseSavepoint { name: savepoint(K::SAVEPOINT_REF) },
            K::ROLLBACK_TO_SAVEPOINT => Transaction::RollbackTo { name: savepoint(K::SAVEPOINT_REF) },
            K::SET_TRANSACTION => {
                let session = node.first(K::SESSION_CHARACTERISTICS);
                let holder = session.clone().or_else(|| node.first(K::TRANSACTION_MODES));
                Transaction::Set {
                    is_session: session.is_some(),
                    modes: holder.map(|holder| modes(&holder)).unwrap_or_default(),
                }
            }
            _ => return None,
        })
    }

    pub(super) fn set(&self, node: &Node) -> Set {
        let is_local = node.has(K::LOCAL_SCOPE);
        let (name, values) = self.setting_of(node);
        Set {
            scope: if is_local { SetScope::Local } else { SetScope::Session },
            name,
            values,
            span: self.span_of(node),
        }
    }

    fn setting_of(&self, node: &Node) -> (String, Vec<String>) {
        let is_default = |child: &Node| child.kind() == K::SET_SESSION_AUTH_DEFAULT;
        let last = || {
            let last = node.last_child().filter(|last| !is_default(last));
            last.map(|last| value_of(&last)).into_iter().collect::<Vec<_>>()
        };
        let inner = |kind: K| node.first(kind).map(|inner| all_values(&inner)).unwrap_or_default();
        let (name, values) = match node.kind() {
            K::SET_ROLE => ("role", last()),
            K::SET_SESSION_AUTH => ("session_authorization", last()),
            K::SET_CONSTRAINTS => {
                let names = node.every(K::CONSTRAINT_NAME_REF);
                let mode = if node.has(K::DEFERRED) { "deferred" } else { "immediate" };
                let mut values: Vec<String> = names.iter().map(name_of).collect();
                values.push(mode.to_owned());
                ("constraints", values)
            }
            _ if node.has(K::SET_TIME_ZONE) => ("timezone", inner(K::SET_TIME_ZONE)),
            _ if node.has(K::SET_SCHEMA_VALUE) => ("search_path", inner(K::SET_SCHEMA_VALUE)),
            _ if node.has(K::SET_XML_OPTION) => ("xmloption", inner(K::SET_XML_OPTION)),
            _ if node.has(K::SET_CATALOG) => ("catalog", inner(K::SET_CATALOG)),
            _ => return self.config(node),
        };
        (name.to_owned(), values)
    }

    fn config(&self, node: &Node) -> (String, Vec<String>) {
        let Some(config) = node.first(K::SET_CONFIG).or_else(|| Some(node.clone())) else {
            return Default::default();
        };
        let name = config.first(K::CONFIG_PARAMETER_REF).map(|name| name.words().replace(' ', ""));
        let values = config.first(K::TO_CONFIG_VALUE).map(|values| all_values(&values)).unwrap_or_default();
        let name = match name.unwrap_or_default() {
            // SET NAMES is read by squawk as a setting of that name.
            name if name == "names" => "client_encoding".to_owned(),
            name => name.replace('"', ""),
        };
        (name, values)
    }

    pub(super) fn reset(&self, node: &Node) -> Reset {
        let name = match node.kind() {
            K::RESET_ROLE => Some("role".to_owned()),
            K::RESET_SESSION_AUTH => Some("session_authorization".to_owned()),
            _ if node.has(K::RESET_TIME_ZONE) => Some("timezone".to_owned()),
            _ => node.first(K::CONFIG_PARAMETER_REF).map(|name| name.words().replace([' ', '"'], "")),
        };
        Reset { name }
    }

    pub(super) fn vacuum(&self, node: &Node) -> Vacuum {
        let mut options = self.plain_options(node, K::VACUUM_OPTION_LIST, K::VACUUM_OPTION);
        for token in node.tokens() {
            if matches!(
                token.kind(),
                K::FULL_KW | K::FREEZE_KW | K::VERBOSE_KW | K::ANALYZE_KW | K::ANALYSE_KW
            ) {
                let span = self.span_of_token(&token);
                options.push(Setting { name: token.text().to_lowercase(), value: None, span });
            }
        }
        Vacuum {
            is_full: is_on(&options, "full"),
            is_freeze: is_on(&options, "freeze"),
            is_analyze: is_on(&options, "analyze") || is_on(&options, "analyse"),
            options,
            tables: self.tables_and_columns(node),
        }
    }

    /// Options of the old form, without parentheses.
    fn option_words(&self, node: &Node, kinds: &[K]) -> Vec<Setting> {
        let tokens = node.tokens().into_iter().filter(|token| kinds.contains(&token.kind()));
        let setting = |token: Token| Setting {
            name: token.text().to_lowercase(),
            value: None,
            span: self.span_of_token(&token),
        };
        tokens.map(setting).collect()
    }

    pub(super) fn analyze(&self, node: &Node) -> Analyze {
        let mut options = self.plain_options(node, K::OPTION_ITEM_LIST, K::OPTION_ITEM);
        options.extend(self.option_words(node, &[K::VERBOSE_KW]));
        Analyze { options, tables: self.tables_and_columns(node) }
    }

    fn tables_and_columns(&self, node: &Node) -> Vec<VacuumTable> {
        let list = node.first(K::TABLE_AND_COLUMNS_LIST);
        let tables = list.iter().flat_map(|list| list.every(K::TABLE_AND_COLUMNS));
        let table = |one: Node| {
            let name = one.first(K::TABLE_RELATION_NAME);
            VacuumTable {
                name: name.as_ref().map(|name| self.name_in(name, K::TABLE_NAME_REF)).unwrap_or_default(),
                is_only: name.is_some_and(|name| name.has(K::ONLY_KW)),
                columns: self.columns(&one, K::COLUMN_REF_LIST),
            }
        };
        tables.map(table).collect()
    }

    pub(super) fn cluster(&self, node: &Node) -> Cluster {
        if let Some(legacy) = node.first(K::CLUSTER_LEGACY) {
            let on = legacy.first(K::ON_PATH);
            return Cluster {
                table: on.map(|on| self.name_in(&on, K::TABLE_NAME_REF)),
                index: self.identifier_in(&legacy, K::INDEX_REF),
            };
        }
        let using = node.first(K::CLUSTER_USING_INDEX);
        Cluster {
            table: node.first(K::TABLE_NAME_REF).map(|name| self.name(&name)),
            index: using.and_then(|using| self.identifier_in(&using, K::INDEX_REF)),
        }
    }

    pub(super) fn reindex(&self, node: &Node) -> Option<Reindex> {
        let target = node.first_of(&[
            K::REINDEX_TARGET_INDEX,
            K::REINDEX_TARGET_TABLE,
            K::REINDEX_TARGET_SCHEMA,
            K::REINDEX_TARGET_DATABASE,
            K::REINDEX_TARGET_SYSTEM,
        ])?;
        let kind = match target.kind() {
            K::REINDEX_TARGET_INDEX => ReindexKind::Index,
            K::REINDEX_TARGET_TABLE => ReindexKind::Table,
            K::REINDEX_TARGET_SCHEMA => ReindexKind::Schema,
            K::REINDEX_TARGET_DATABASE => ReindexKind::Database,
            _ => ReindexKind::System,
        };
        let options = node.first(K::REINDEX_OPTION_LIST);
        let option = |kind: K| options.as_ref().and_then(|options| options.first(kind));
        let by_option = option(K::REINDEX_OPTION_CONCURRENTLY);
        let is_off = |option: &Node| option.words().ends_with(" false") || option.words().ends_with(" off");
        let tablespace = option(K::REINDEX_OPTION_TABLESPACE);
        Some(Reindex {
            kind,
            name: target.first_child().map(|name| self.name(&name)),
            is_concurrent: target.has(K::CONCURRENTLY_KW) || by_option.is_some_and(|option| !is_off(&option)),
            tablespace: tablespace.and_then(|option| self.identifier_in(&option, K::TABLESPACE_REF)),
        })
    }

    pub(super) fn truncate(&self, node: &Node) -> Truncate {
        let list = node.first(K::TABLE_LIST);
        let tables = list.iter().flat_map(|list| list.every(K::TABLE_RELATION_NAME));
        let table = |one: Node| TableUse {
            name: self.name_in(&one, K::TABLE_NAME_REF),
            alias: None,
            is_only: one.has(K::ONLY_KW),
        };
        Truncate {
            tables: tables.map(table).collect(),
            restarts_identity: node.has(K::RESTART_IDENTITY),
            is_cascade: node.has(K::CASCADE),
        }
    }

    pub(super) fn refresh(&self, node: &Node) -> Refresh {
        Refresh {
            view: self.name_in(node, K::VIEW_REF),
            is_concurrent: node.has(K::CONCURRENTLY_KW),
            with_no_data: node.has(K::WITH_NO_DATA),
        }
    }

    pub(super) fn lock(&self, node: &Node) -> LockTable {
        let list = node.first(K::RELATION_LIST);
        let tables = list.iter().flat_map(|list| list.every(K::RELATION_NAME));
        let mode = node.first(K::LOCK_MODE_CLAUSE).and_then(|clause| clause.first_child());
        let table = |one: Node| TableUse {
            name: self.name_in(&one, K::RELATION_NAME_REF),
            alias: None,
            is_only: one.has(K::ONLY_KW),
        };
        LockTable {
            tables: tables.map(table).collect(),
            mode: mode.map_or_else(|| "ACCESS EXCLUSIVE".to_owned(), |mode| mode.words().to_uppercase()),
            is_nowait: node.has(K::NOWAIT),
        }
    }

    pub(super) fn call_statement(&self, node: &Node) -> Call {
        let list = node.first(K::ARG_LIST);
        let arguments = list.iter().flat_map(|list| list.every(K::ARG));
        Call {
            procedure: self.name_in(node, K::PROCEDURE_NAME_REF),
            arguments: arguments.filter_map(|argument| self.expression_in(&argument)).collect(),
            runs: None,
        }
    }

    pub(super) fn prepare(&self, node: &Node) -> Option<Prepare> {
        let name = name_of(&node.first(K::PREPARED_STATEMENT)?);
        let inner = node.children().filter(|child| child.kind() != K::PARAM_LIST).last()?;
        let statement = self.statement(&inner);
        Some(Prepare { name, statement: Box::new(self.locate(&inner, statement, 1)) })
    }

    pub(super) fn explain(&self, node: &Node) -> Option<Statement> {
        let options = self.plain_options(node, K::EXPLAIN_OPTION_LIST, K::EXPLAIN_OPTION);
        let is_statement = |child: &Node| {
            !matches!(child.kind(), K::EXPLAIN_OPTION_LIST | K::EXPLAIN_ANALYZE | K::EXPLAIN_VERBOSE)
        };
        let inner = node.children().find(is_statement)?;
        let statement = self.statement(&inner);
        Some(Statement::Explain(Box::new(Explain {
            is_analyze: node.has(K::EXPLAIN_ANALYZE)
                || is_on(&options, "analyze")
                || is_on(&options, "analyse"),
            statement: Box::new(self.locate(&inner, statement, 1)),
        })))
    }

    /// A query, and `SELECT set_config(...)` with constants, which is a SET.
    pub(super) fn query_or_set(&self, node: &Node) -> Statement {
        let statement = self.query_statement(node);
        let Statement::Query(query) = &statement else { return statement };
        let is_plain = query.kind == QueryKind::Select && query.reads.is_empty() && query.writes.is_empty();
        let is_config = query.functions.len() == 1 && query.functions[0].name.name == "set_config";
        let set = if is_plain && is_config { self.set_config(node) } else { None };
        set.map_or(statement, |set| Statement::Set(Box::new(set)))
    }

    fn set_config(&self, node: &Node) -> Option<Set> {
        let call = node.descendants().find(|node| node.kind() == K::CALL_EXPR)?;
        let arguments = call.first(K::ARG_LIST)?.every(K::ARG);
        let shapes: Vec<Shape> =
            arguments.iter().filter_map(|argument| self.expression_in(argument)).map(|it| it.shape).collect();
        let [Shape::String(name), Shape::String(value), Shape::Literal(is_local)] = shapes.as_slice() else {
            return None;
        };
        let scope = if is_local.eq_ignore_ascii_case("true") { SetScope::Local } else { SetScope::Session };
        Some(Set { scope, name: name.to_lowercase(), values: vec![value.clone()], span: self.span_of(node) })
    }
}

/// Whether an option is there and not switched off.
fn is_on(options: &[Setting], name: &str) -> bool {
    let option = options.iter().rfind(|option| option.name == name);
    let is_off = |value: &str| matches!(value.to_lowercase().as_str(), "false" | "off" | "no" | "0");
    option.is_some_and(|option| !option.value.as_deref().is_some_and(is_off))
}

fn modes(node: &Node) -> Vec<String> {
    let list = node.first(K::TRANSACTION_MODE_LIST);
    list.iter().flat_map(|list| list.children()).map(|mode| mode.words()).collect()
}

/// Values behind TO; none for DEFAULT.
fn all_values(node: &Node) -> Vec<String> {
    node.children().map(|value| value_of(&value)).collect()
}
