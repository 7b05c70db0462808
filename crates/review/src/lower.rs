//! From squawk's tree to `Statement`: the only place that sees that tree.
//!
//! Where the tree is weak, and what is done about it: GRANT takes privileges such as INSERT for names of roles
//! (words are read); its PL/pgSQL parser refuses SELECT ... INTO (bodies are taken apart by `plpgsql`); COLLATE in an
//! index swallows the expression before it; operators are nodes or tokens, depending on which; names are folded and
//! not cut; `repair` knows what it wrongly refuses; expressions nest without a limit (`split` weighs them first). Not for: splitting a file, and errors.

mod alter;
mod body;
mod constraint;
mod expression;
mod gather;
mod grant;
mod object;
mod plpgsql;
mod query;
mod repair;
mod routine;
mod session;
mod settings;
mod table;
mod tree;
mod type_name;

use std::cell::LazyCell;

use squawk_syntax::SourceFile;

use crate::statement::{Execute, Statement};
use tree::{K, Node, Tree, is_query};
pub(crate) use tree::{Places, Source, fold_name};
pub(crate) use type_name::quoted;

/// What the parser did not understand: where in the parsed text, and its words for it.
pub(crate) struct Misread {
    pub(crate) start: usize,
    pub(crate) message: String,
    /// In the body of a function that by itself was understood.
    pub(crate) is_in_body: bool,
}

/// The statement in a text that holds one, and what was wrong with it.
pub(crate) fn lower(source: &Source, text: &str) -> (Option<Statement>, Vec<Misread>) {
    let (statement, misread) = lower_once(source, text);
    if statement.is_none()
        && let Some(repaired) = repair::repaired(text, &misread)
    {
        let (statement, again) = lower_once(source, &repaired);
        if statement.is_some() {
            return (statement, again);
        }
    }
    (statement, misread)
}

fn lower_once(source: &Source, text: &str) -> (Option<Statement>, Vec<Misread>) {
    let parse = SourceFile::parse(text);
    let root = parse.syntax_node();
    let body = LazyCell::new(|| root.deep(K::AS_DEFINITION).map(|definition| definition.text_range()));
    let misread = |error: squawk_syntax::syntax_error::SyntaxError| Misread {
        start: error.range().start().into(),
        message: error.message().to_owned(),
        is_in_body: body.is_some_and(|body| body.contains_range(error.range())),
    };
    let errors = parse.errors().into_iter().filter(|error| !repair::is_of_psql(error.message()));
    let misread: Vec<Misread> = errors.map(misread).collect();
    let mut nodes = root.children().filter(|node| node.kind() != K::EMPTY_STMT);
    let node = nodes.next().filter(|_| misread.iter().all(|error| error.is_in_body));
    (node.map(|node| source.statement(&node)), misread)
}

impl Source<'_> {
    pub(crate) fn statement(&self, node: &Node) -> Statement {
        self.create(node)
            .or_else(|| self.upkeep(node))
            .or_else(|| self.session_statement(node))
            .or_else(|| self.by_name(node))
            .unwrap_or_else(|| Statement::Opaque { keyword: alter::first_words(node) })
    }

    fn create(&self, node: &Node) -> Option<Statement> {
        Some(match node.kind() {
            K::CREATE_TABLE | K::CREATE_FOREIGN_TABLE => {
                Statement::CreateTable(Box::new(self.create_table(node)))
            }
            K::CREATE_TABLE_AS => Statement::CreateTableAs(Box::new(self.create_table_as(node))),
            K::CREATE_INDEX => Statement::CreateIndex(Box::new(self.create_index(node))),
            K::CREATE_VIEW | K::CREATE_MATERIALIZED_VIEW => {
                Statement::CreateView(Box::new(self.create_view(node)))
            }
            K::CREATE_SEQUENCE => Statement::CreateSequence(Box::new(self.create_sequence(node))),
            K::CREATE_TYPE => Statement::CreateType(Box::new(self.create_type(node))),
            K::CREATE_DOMAIN => Statement::CreateDomain(Box::new(self.create_domain(node))),
            K::CREATE_FUNCTION | K::CREATE_PROCEDURE => {
                Statement::CreateFunction(Box::new(self.create_function(node)))
            }
            K::CREATE_TRIGGER => Statement::CreateTrigger(Box::new(self.create_trigger(node))),
            K::CREATE_EVENT_TRIGGER => {
                Statement::CreateEventTrigger(Box::new(self.create_event_trigger(node)))
            }
            K::CREATE_RULE => Statement::CreateRule(Box::new(self.create_rule(node))),
            K::CREATE_POLICY => Statement::CreatePolicy(Box::new(self.create_policy(node))),
            K::CREATE_STATISTICS => Statement::CreateStatistics(Box::new(self.create_statistics(node))),
            K::CREATE_PUBLICATION => Statement::CreatePublication(Box::new(self.create_publication(node))),
            K::CREATE_SUBSCRIPTION => Statement::CreateSubscription(Box::new(self.create_subscription(node))),
            K::CREATE_EXTENSION => Statement::CreateExtension(Box::new(self.create_extension(node))),
            K::CREATE_SCHEMA => Statement::CreateSchema(Box::new(self.create_schema(node))),
            _ => return None,
        })
    }

    fn upkeep(&self, node: &Node) -> Option<Statement> {
        Some(match node.kind() {
            K::COMMENT_ON => Statement::Comment(Box::new(self.comment_on(node)?)),
            K::GRANT | K::REVOKE | K::ALTER_DEFAULT_PRIVILEGES => {
                Statement::Grant(Box::new(self.grant(node)))
            }
            K::REINDEX => Statement::Reindex(Box::new(self.reindex(node)?)),
            K::CLUSTER => Statement::Cluster(Box::new(self.cluster(node))),
            K::VACUUM => Statement::Vacuum(Box::new(self.vacuum(node))),
            K::ANALYZE => Statement::Analyze(Box::new(self.analyze(node))),
            K::TRUNCATE => Statement::Truncate(Box::new(self.truncate(node))),
            K::REFRESH => Statement::Refresh(Box::new(self.refresh(node))),
            K::LOCK => Statement::Lock(Box::new(self.lock(node))),
            _ => return None,
        })
    }

    fn session_statement(&self, node: &Node) -> Option<Statement> {
        Some(match node.kind() {
            kind if is_query(kind) => self.query_or_set(node),
            K::DECLARE => Statement::Query(Box::new(self.query_in(node)?)),
            K::COPY => Statement::Copy(Box::new(self.copy(node))),
            K::SET | K::SET_ROLE | K::SET_SESSION_AUTH | K::SET_CONSTRAINTS => {
                Statement::Set(Box::new(self.set(node)))
            }
            K::RESET | K::RESET_ROLE | K::RESET_SESSION_AUTH => Statement::Reset(self.reset(node)),
            K::DO => Statement::Do(Box::new(self.do_block(node))),
            K::CALL => Statement::Call(Box::new(self.call_statement(node))),
            K::EXPLAIN => self.explain(node)?,
            K::PREPARE => Statement::Prepare(Box::new(self.prepare(node)?)),
            K::EXECUTE => {
                let name = node.first_child().map(|name| tree::name_of(&name)).unwrap_or_default();
                Statement::Execute(Box::new(Execute { name, runs: None }))
            }
            _ => Statement::Transaction(self.transaction(node)?),
        })
    }

    /// What is told by the tree's name of the node alone: ALTER, DROP, and CREATE of what is left.
    fn by_name(&self, node: &Node) -> Option<Statement> {
        let name = format!("{:?}", node.kind());
        if name.starts_with("ALTER_") {
            return Some(self.alter(node));
        }
        if let Some(kind) = object::dropped_kind(node.kind()) {
            return Some(Statement::Drop(Box::new(self.drop(node, kind))));
        }
        object::created_kind(node.kind()).map(|kind| self.create_other(node, kind))
    }
}
