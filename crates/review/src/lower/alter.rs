//! ALTER of anything: from each form of the tree to an `Action`.

use super::object::{alter_kind, object_arguments};
use super::table::{last_words, names_of};
use super::tree::{K, Node, Source, Tree, integer_of, is_trivia, name_of, string_of, text_of};
use crate::statement::{
    Action, Alter, AlterClause, ConstraintChange, Identifier, IdentityChange, MoveAll, ReplicaIdentity,
    RowSecurity, Statement, ToggleMode, TriggerChoice, ValuePlace,
};

impl Source<'_> {
    pub(super) fn alter(&self, node: &Node) -> Statement {
        let kind = alter_kind(node.kind());
        if let Some(all) = node.first(K::ALL_IN_TABLESPACE) {
            let owners = all.first(K::OWNED_BY_ROLES).and_then(|owned| owned.first(K::ROLE_REF_LIST));
            let to = all.first(K::SET_TABLESPACE);
            return Statement::MoveAll(Box::new(MoveAll {
                kind,
                from: self.identifier_in(&all, K::TABLESPACE_REF).unwrap_or_default(),
                to: to.and_then(|to| self.identifier_in(&to, K::TABLESPACE_REF)).unwrap_or_default(),
                owners: owners.map(|owners| self.identifiers(owners.every(K::ROLE_REF))).unwrap_or_default(),
                is_nowait: all.has(K::NOWAIT) || node.has(K::NOWAIT),
            }));
        }
        let holder = node.first(K::TABLE_RELATION_NAME);
        let target = self.alter_target(node);
        let on = node.first_of(&[K::ON_RELATION, K::ON_TABLE]).and_then(|on| on.first_child());
        let mut clauses = Vec::new();
        for child in node.children() {
            if Some(&child) != target.as_ref() && child.kind() != K::IF_EXISTS {
                self.alter_clauses(&child, &mut clauses);
            }
        }
        Statement::Alter(Box::new(Alter {
            kind,
            name: target.as_ref().map(|target| self.alter_name(target)).unwrap_or_default(),
            if_exists: node.has(K::IF_EXISTS),
            is_only: holder.is_some_and(|holder| holder.has(K::ONLY_KW)),
            on: on.map(|on| self.name(&on)),
            arguments: target.and_then(|target| object_arguments(self, &target)),
            clauses,
        }))
    }

    /// The node that names what is altered: the first that is no IF EXISTS. ALTER SYSTEM and ALTER ROLE ALL name
    /// nothing, and begin with their action.
    fn alter_target(&self, node: &Node) -> Option<Node> {
        let first = node.children().find(|child| child.kind() != K::IF_EXISTS);
        first.filter(|_| node.kind() != K::ALTER_SYSTEM && !node.has(K::ALL_KW))
    }

    fn alter_name(&self, target: &Node) -> crate::statement::ObjectName {
        super::object::signature_name(self, target)
    }

    fn alter_clauses(&self, node: &Node, clauses: &mut Vec<AlterClause>) {
        let span = self.span_of(node);
        let mut push = |action| clauses.push(AlterClause { span, action });
        match node.kind() {
            K::ON_RELATION | K::ON_TABLE | K::USING_METHOD | K::IN_DATABASE | K::COMMENT => {}
            K::ALTER_TYPE_ATTRIBUTE_ACTION_LIST => {
                for child in node.children() {
                    self.alter_clauses(&child, clauses);
                }
            }
            K::ALTER_COLUMN | K::ALTER_VIEW_COLUMN | K::ALTER_SET_STATISTICS => push(self.alter_column(node)),
            kind if is_sequence_option(kind) => self.sequence_clause(node, clauses),
            _ => push(self.action_of(node)),
        }
    }

    /// All options of one ALTER SEQUENCE are one clause.
    fn sequence_clause(&self, node: &Node, clauses: &mut Vec<AlterClause>) {
        let is_sequence = |clause: &AlterClause| matches!(clause.action, Action::Sequence(_));
        let Some(statement) = node.parent().filter(|_| !clauses.iter().any(is_sequence)) else { return };
        let mut options = self.sequence_options(&statement);
        let parts: Vec<Node> =
            statement.children().filter(|child| is_sequence_option(child.kind())).collect();
        let end = parts.last().map_or(options.span.end, |last| self.span_of(last).end);
        options.span = crate::statement::Span::new(self.span_of(node).start, end);
        clauses.push(AlterClause { span: options.span, action: Action::Sequence(Box::new(options)) });
    }

    fn alter_column(&self, node: &Node) -> Action {
        let column = node.first(K::COLUMN_NAME_REF).or_else(|| node.expression());
        let column = column.map(|column| self.column_or_number(&column)).unwrap_or_default();
        let option = node.last_child().unwrap_or_else(|| node.clone());
        self.column_action(column, &option)
    }

    /// Columns of an index that are expressions have numbers.
    fn column_or_number(&self, node: &Node) -> Identifier {
        match node.kind() {
            K::LITERAL => Identifier::new(text_of(node), self.span_of(node)),
            _ => self.identifier(node),
        }
    }

    fn column_action(&self, column: Identifier, option: &Node) -> Action {
        let if_exists = option.has(K::IF_EXISTS);
        let list = option.first(K::SEQUENCE_OPTION_LIST);
        match option.kind() {
            K::SET_TYPE => Action::SetType {
                column,
                type_name: self.type_in(option).unwrap_or_default(),
                collation: self.collation(option),
                using: self.clause(option, K::USING_EXPR),
            },
            K::SET_DEFAULT => {
                Action::SetDefault { column, expression: self.expression_in(option).unwrap_or_default() }
            }
            K::DROP_DEFAULT => Action::DropDefault { column },
            K::SET_NOT_NULL => Action::SetNotNull { column },
            K::DROP_NOT_NULL => Action::DropNotNull { column },
            K::SET_EXPRESSION => {
                Action::SetExpression { column, expression: self.expression_in(option).unwrap_or_default() }
            }
            K::DROP_EXPRESSION => Action::DropExpression { column, if_exists },
            K::ADD_GENERATED => Action::AddIdentity {
                column,
                is_always: option.has(K::GENERATED_ALWAYS),
                options: list.map(|list| self.sequence_options(&list)).unwrap_or_default(),
            },
            K::DROP_IDENTITY => Action::DropIdentity { column, if_exists },
            K::SET_STATISTICS => {
                Action::SetStatistics { column, target: option.expression().as_ref().and_then(integer_of) }
            }
            K::SET_OPTIONS => Action::SetColumnOptions { column, options: self.attributes(option) },
            K::RESET_OPTIONS => {
                Action::ResetColumnOptions { column, options: names_of(self.attributes(option)) }
            }
            K::SET_STORAGE => Action::SetStorage { column, storage: last_words(option).to_lowercase() },
            K::SET_COMPRESSION => {
                Action::SetCompression { column, method: last_words(option).to_lowercase() }
            }
            K::SET_OPTIONS_LIST => {
                Action::ColumnForeignOptions { column, options: self.foreign_options(option) }
            }
            K::ALTER_OPTION_LIST => match option.parent() {
                Some(holder) => {
                    Action::ColumnForeignOptions { column, options: self.foreign_options(&holder) }
                }
                None => Action::Other { keyword: option.words() },
            },
            K::SET_GENERATED | K::SET_SEQUENCE_OPTION | K::RESTART | K::SET_GENERATED_OPTIONS => {
                Action::SetIdentity { column, change: self.identity_change(option) }
            }
            _ => Action::Other { keyword: option.words().to_uppercase() },
        }
    }

    fn identity_change(&self, option: &Node) -> IdentityChange {
        // A single change stands without the list around it.
        let whole =
            if option.kind() == K::SET_GENERATED_OPTIONS { Some(option.clone()) } else { option.parent() };
        let holder = whole.unwrap_or_else(|| option.clone());
        let set = holder.first(K::SET_GENERATED);
        IdentityChange {
            is_always: set.map(|set| set.has(K::GENERATED_ALWAYS)),
            options: self.sequence_options(&holder),
        }
    }

    /// Every clause that is not about one column by ALTER COLUMN.
    fn action_of(&self, node: &Node) -> Action {
        self.definition_action(node)
            .or_else(|| self.toggle_action(node))
            .or_else(|| self.relation_action(node))
            .or_else(|| self.type_action(node))
            .or_else(|| self.other_action(node))
            .unwrap_or_else(|| Action::Other { keyword: first_words(node) })
    }

    fn definition_action(&self, node: &Node) -> Option<Action> {
        let if_exists = node.has(K::IF_EXISTS);
        let is_cascade = node.has(K::CASCADE);
        let constraint = || self.identifier_in(node, K::CONSTRAINT_NAME_REF).unwrap_or_default();
        let column = || self.identifier_in(node, K::COLUMN_NAME_REF).unwrap_or_default();
        Some(match node.kind() {
            K::ADD_COLUMN => Action::AddColumn {
                if_not_exists: node.has(K::IF_NOT_EXISTS),
                column: Box::new(self.column_definition(node)),
            },
            K::DROP_COLUMN => Action::DropColumn { column: column(), if_exists, is_cascade },
            K::RENAME_COLUMN => Action::RenameColumn {
                from: column(),
                to: self.identifier_in(node, K::COLUMN_NAME).unwrap_or_default(),
            },
            K::ADD_CONSTRAINT => {
                Action::AddConstraint(Box::new(self.table_constraint(&node.first_child()?)?))
            }
            K::VALIDATE_CONSTRAINT => Action::ValidateConstraint { constraint: constraint() },
            K::DROP_CONSTRAINT => Action::DropConstraint { constraint: constraint(), if_exists, is_cascade },
            K::RENAME_CONSTRAINT => Action::RenameConstraint {
                from: constraint(),
                to: self.identifier_in(node, K::CONSTRAINT_NAME).unwrap_or_default(),
            },
            K::ALTER_CONSTRAINT => {
                Action::AlterConstraint { constraint: constraint(), change: constraint_change(node) }
            }
            _ => return None,
        })
    }

    fn toggle_action(&self, node: &Node) -> Option<Action> {
        let mode = match node.kind() {
            K::ENABLE_TRIGGER | K::ENABLE_RULE | K::ENABLE => ToggleMode::Enable,
            K::DISABLE_TRIGGER | K::DISABLE_RULE | K::DISABLE => ToggleMode::Disable,
            K::ENABLE_REPLICA_TRIGGER | K::ENABLE_REPLICA_RULE | K::ENABLE_REPLICA => {
                ToggleMode::EnableReplica
            }
            K::ENABLE_ALWAYS_TRIGGER | K::ENABLE_ALWAYS_RULE | K::ENABLE_ALWAYS => ToggleMode::EnableAlways,
            K::ENABLE_RLS => return Some(Action::RowSecurity(RowSecurity::Enable)),
            K::DISABLE_RLS => return Some(Action::RowSecurity(RowSecurity::Disable)),
            K::FORCE_RLS => return Some(Action::RowSecurity(RowSecurity::Force)),
            K::NO_FORCE_RLS => return Some(Action::RowSecurity(RowSecurity::NoForce)),
            _ => return None,
        };
        if let Some(rule) = self.identifier_in(node, K::RULE_REF) {
            return Some(Action::Rule { rule, mode });
        }
        if matches!(node.kind(), K::ENABLE | K::DISABLE | K::ENABLE_REPLICA | K::ENABLE_ALWAYS) {
            return Some(Action::EventTrigger { mode });
        }
        let which = match self.identifier_in(node, K::TRIGGER_REF) {
            Some(trigger) => TriggerChoice::Named(trigger),
            None if node.has(K::USER) => TriggerChoice::User,
            None => TriggerChoice::All,
        };
        Some(Action::Trigger { which, mode })
    }

    fn relation_action(&self, node: &Node) -> Option<Action> {
        let table = || self.name_in(node, K::TABLE_NAME_REF);
        Some(match node.kind() {
            K::CLUSTER_ON => {
                Action::ClusterOn { index: self.identifier_in(node, K::INDEX_REF).unwrap_or_default() }
            }
            K::SET_WITHOUT_CLUSTER => Action::SetWithoutCluster,
            K::SET_WITHOUT_OIDS => Action::SetWithoutOids,
            K::SET_ACCESS_METHOD => {
                Action::SetAccessMethod { method: self.identifier_in(node, K::ACCESS_METHOD_REF) }
            }
            K::SET_TABLESPACE => Action::SetTablespace {
                tablespace: self.identifier_in(node, K::TABLESPACE_REF).unwrap_or_default(),
                is_nowait: false,
            },
            K::SET_LOGGED => Action::SetLogged,
            K::SET_UNLOGGED => Action::SetUnlogged,
            K::SET_OPTIONS => Action::SetOptions { options: self.attributes(node) },
            K::RESET_OPTIONS => Action::ResetOptions { options: names_of(self.attributes(node)) },
            K::INHERIT_TABLE => Action::Inherit { parent: table() },
            K::NO_INHERIT_TABLE => Action::NoInherit { parent: table() },
            K::OF_TYPE => Action::OfType { type_name: self.type_in(node)?.name },
            K::NOT_OF => Action::NotOf,
            K::REPLICA_IDENTITY => Action::ReplicaIdentity(self.replica_identity(node)),
            K::ATTACH_PARTITION => Action::AttachPartition { partition: table(), bound: self.bound(node)? },
            K::DETACH_PARTITION => Action::DetachPartition {
                partition: table(),
                is_concurrent: node.has(K::DETACH_CONCURRENTLY),
                is_finalize: node.has(K::DETACH_FINALIZE),
            },
            K::ATTACH_INDEX_PARTITION => Action::AttachIndex { index: self.name_in(node, K::INDEX_REF) },
            K::ALTER_OPTION_LIST => Action::ForeignOptions { options: self.foreign_options(&node.parent()?) },
            K::SET_SCHEMA => {
                Action::SetSchema { schema: self.identifier_in(node, K::SCHEMA_REF).unwrap_or_default() }
            }
            K::OWNER_TO => {
                Action::OwnerTo { owner: self.identifier_in(node, K::ROLE_REF).unwrap_or_default() }
            }
            K::DEPENDS_ON_EXTENSION | K::NO_DEPENDS_ON_EXTENSION => Action::DependsOnExtension {
                extension: self.identifier_in(node, K::EXTENSION_REF).unwrap_or_default(),
                is_no: node.kind() == K::NO_DEPENDS_ON_EXTENSION,
            },
            K::REFRESH_VERSION | K::REFRESH_COLLATION_VERSION => Action::RefreshVersion,
            kind if format!("{kind:?}").ends_with("_RENAME_TO") => {
                Action::RenameTo { to: self.identifier(&node.first_child()?) }
            }
            _ => return None,
        })
    }

    fn replica_identity(&self, node: &Node) -> ReplicaIdentity {
        if let Some(using) = node.first(K::USING_INDEX_NAME) {
            return ReplicaIdentity::Index(self.identifier_in(&using, K::INDEX_REF).unwrap_or_default());
        }
        match node.first_child().map(|option| option.kind()) {
            Some(K::REPLICA_IDENTITY_FULL) => ReplicaIdentity::Full,
            Some(K::REPLICA_IDENTITY_NOTHING) => ReplicaIdentity::Nothing,
            _ => ReplicaIdentity::Default,
        }
    }

    fn type_action(&self, node: &Node) -> Option<Action> {
        let is_cascade = node.has(K::CASCADE);
        let strings: Vec<String> = node.every(K::LITERAL).iter().filter_map(string_of).collect();
        let attribute = || self.identifier_in(node, K::COMPOSITE_FIELD_REF).unwrap_or_default();
        let is_domain = node.parent().is_some_and(|parent| parent.kind() == K::ALTER_DOMAIN);
        Some(match node.kind() {
            K::ADD_VALUE => {
                let place = node.first_of(&[K::BEFORE_VALUE, K::AFTER_VALUE]);
                let place = place.and_then(|place| {
                    let label = string_of(&place.first(K::LITERAL)?)?;
                    let is_before = place.kind() == K::BEFORE_VALUE;
                    Some(if is_before { ValuePlace::Before(label) } else { ValuePlace::After(label) })
                });
                let value = strings.into_iter().next().unwrap_or_default();
                Action::AddValue { value, if_not_exists: node.has(K::IF_NOT_EXISTS), place }
            }
            K::RENAME_VALUE => {
                let [from, to] = <[String; 2]>::try_from(strings).ok()?;
                Action::RenameValue { from, to }
            }
            K::ADD_ATTRIBUTE => {
                Action::AddAttribute { column: Box::new(self.column_definition(node)), is_cascade }
            }
            K::DROP_ATTRIBUTE => Action::DropAttribute {
                attribute: attribute(),
                if_exists: node.has(K::IF_EXISTS),
                is_cascade,
            },
            K::ALTER_ATTRIBUTE => Action::AlterAttribute {
                attribute: attribute(),
                type_name: self.type_in(node)?,
                collation: self.collation(node),
                is_cascade,
            },
            K::RENAME_ATTRIBUTE => Action::RenameAttribute {
                from: attribute(),
                to: self.identifier_in(node, K::COMPOSITE_FIELD).unwrap_or_default(),
                is_cascade,
            },
            K::SET_DEFAULT if is_domain => {
                Action::SetDomainDefault { expression: self.expression_in(node).unwrap_or_default() }
            }
            K::DROP_DEFAULT if is_domain => Action::DropDomainDefault,
            K::SET_NOT_NULL if is_domain => Action::SetDomainNotNull,
            K::DROP_NOT_NULL if is_domain => Action::DropDomainNotNull,
            _ => return None,
        })
    }

    fn other_action(&self, node: &Node) -> Option<Action> {
        Some(match node.kind() {
            K::FUNC_OPTION_LIST => Action::FunctionOptions { options: self.function_options(node) },
            K::SET_STATISTICS => Action::SetStatistics {
                column: Identifier::default(),
                target: node.expression().as_ref().and_then(integer_of),
            },
            K::ALTER_POLICY_TO => Action::Policy {
                roles: self.policy_roles(node),
                using: self.clause(node, K::USING_EXPR_CLAUSE),
                with_check: self.clause(node, K::WITH_CHECK_EXPR_CLAUSE),
            },
            K::ADD_PUBLICATION_OBJECTS | K::SET_PUBLICATION_OBJECTS | K::DROP_PUBLICATION_OBJECTS => {
                let (tables, schemas) = self.publication_objects(node);
                match node.kind() {
                    K::ADD_PUBLICATION_OBJECTS => Action::PublicationAdd { tables, schemas },
                    K::SET_PUBLICATION_OBJECTS => Action::PublicationSet { tables, schemas },
                    _ => Action::PublicationDrop { tables, schemas },
                }
            }
            K::ADD_PUBLICATION
            | K::SET_PUBLICATION
            | K::DROP_SUBSCRIPTION_PUBLICATION
            | K::REFRESH_PUBLICATION
            | K::ENABLE_SUBSCRIPTION
            | K::DISABLE_SUBSCRIPTION
            | K::SKIP_SUBSCRIPTION
            | K::CONNECTION_CLAUSE => Action::Subscription { keyword: first_words(node) },
            K::ALTER_EXTENSION_UPDATE => {
                let to = node.first(K::UPDATE_TO).and_then(|to| to.first_child());
                let version = to.map(|to| string_of(&to).unwrap_or_else(|| name_of(&to)));
                Action::UpdateExtension { version }
            }
            K::ALTER_EXTENSION_ADD | K::ALTER_EXTENSION_DROP => {
                let member = node.first_child()?;
                let words: Vec<String> =
                    member.tokens().iter().map(|token| token.text().to_uppercase()).collect();
                Action::ExtensionMember {
                    is_add: node.kind() == K::ALTER_EXTENSION_ADD,
                    kind: words.join(" "),
                }
            }
            _ => return None,
        })
    }
}

fn is_sequence_option(kind: K) -> bool {
    matches!(
        kind,
        K::OPTION_AS_TYPE
            | K::OPTION_CACHE
            | K::OPTION_INCREMENT
            | K::OPTION_SEQUENCE_NAME
            | K::OPTION_RESTART
            | K::OPTION_LOGGED
            | K::OPTION_UNLOGGED
            | K::OPTION_START
            | K::OPTION_OWNED_BY
            | K::OPTION_MAX_VALUE
            | K::OPTION_MIN_VALUE
            | K::OPTION_NO_MAX_VALUE
            | K::OPTION_NO_MIN_VALUE
            | K::OPTION_NO_CYCLE
            | K::OPTION_CYCLE
    )
}

fn constraint_change(node: &Node) -> ConstraintChange {
    let either = |yes: K, no: K| match (node.has(yes), node.has(no)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    ConstraintChange {
        is_deferrable: either(K::DEFERRABLE_CONSTRAINT_OPTION, K::NOT_DEFERRABLE_CONSTRAINT_OPTION),
        is_initially_deferred: either(
            K::INITIALLY_DEFERRED_CONSTRAINT_OPTION,
            K::INITIALLY_IMMEDIATE_CONSTRAINT_OPTION,
        ),
        is_enforced: either(K::ENFORCED, K::NOT_ENFORCED),
        inherits: either(K::INHERIT, K::NO_INHERIT),
    }
}

/// The words with which a clause or a statement begins, in upper case.
pub(super) fn first_words(node: &Node) -> String {
    let tokens = node.children_with_tokens().filter(|child| !is_trivia(child.kind()));
    let leading = tokens
        .map_while(|child| child.into_token().filter(|token| token.text().starts_with(char::is_alphabetic)));
    let words: Vec<String> = leading.map(|token| token.text().to_uppercase()).collect();
    if words.is_empty() { node.words().to_uppercase() } else { words.join(" ") }
}
