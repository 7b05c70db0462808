//! Objects other than tables and routines: DROP, COMMENT, GRANT, and CREATE of views, sequences, types and so on.

use super::query::persistence;
use super::tree::{K, Node, Source, Tree, is_query, is_type, name_of, string_of, text_of};
use crate::statement::{
    Comment, CreateDomain, CreateExtension, CreateOther, CreatePolicy, CreatePublication, CreateSchema,
    CreateSequence, CreateStatistics, CreateSubscription, CreateType, CreateView, Drop, DropTarget,
    Expression, Identifier, ObjectKind, ObjectName, PublicationTable, Statement, TypeDefinition, TypeName,
};

/// The words behind CREATE, ALTER, DROP and COMMENT ON in the names of the tree's kinds. Longer ones come first.
const KINDS: &[(&str, ObjectKind)] = &[
    ("FOREIGN_DATA_WRAPPER", ObjectKind::ForeignDataWrapper),
    ("FOREIGN_TABLE", ObjectKind::ForeignTable),
    ("TABLESPACE", ObjectKind::Tablespace),
    ("TABLE", ObjectKind::Table),
    ("INDEX", ObjectKind::Index),
    ("MATERIALIZED_VIEW", ObjectKind::MaterializedView),
    ("VIEW", ObjectKind::View),
    ("SEQUENCE", ObjectKind::Sequence),
    ("TYPE", ObjectKind::Type),
    ("DOMAIN", ObjectKind::Domain),
    ("FUNCTION", ObjectKind::Function),
    ("PROCEDURE", ObjectKind::Procedure),
    ("ROUTINE", ObjectKind::Routine),
    ("AGGREGATE", ObjectKind::Aggregate),
    ("EVENT_TRIGGER", ObjectKind::EventTrigger),
    ("TRIGGER", ObjectKind::Trigger),
    ("RULE", ObjectKind::Rule),
    ("POLICY", ObjectKind::Policy),
    ("STATISTICS", ObjectKind::Statistics),
    ("PUBLICATION", ObjectKind::Publication),
    ("SUBSCRIPTION", ObjectKind::Subscription),
    ("EXTENSION", ObjectKind::Extension),
    ("SCHEMA", ObjectKind::Schema),
    ("COLUMN", ObjectKind::Column),
    ("CONSTRAINT", ObjectKind::Constraint),
    ("DATABASE", ObjectKind::Database),
    ("USER_MAPPING", ObjectKind::UserMapping),
    ("ROLE", ObjectKind::Role),
    ("USER", ObjectKind::Role),
    ("GROUP", ObjectKind::Role),
    ("SERVER", ObjectKind::Server),
    ("LANGUAGE", ObjectKind::Language),
    ("CAST", ObjectKind::Cast),
    ("COLLATION", ObjectKind::Collation),
    ("CONVERSION", ObjectKind::Conversion),
    ("OPERATOR_CLASS", ObjectKind::OperatorClass),
    ("OPERATOR_FAMILY", ObjectKind::OperatorFamily),
    ("OPERATOR", ObjectKind::Operator),
    ("TEXT_SEARCH_CONFIG", ObjectKind::TextSearchConfiguration),
    ("TEXT_SEARCH_DICT", ObjectKind::TextSearchDictionary),
    ("TEXT_SEARCH_PARSER", ObjectKind::TextSearchParser),
    ("TEXT_SEARCH_TEMPLATE", ObjectKind::TextSearchTemplate),
    ("TRANSFORM", ObjectKind::Transform),
    ("ACCESS_METHOD", ObjectKind::AccessMethod),
    ("LARGE_OBJECT", ObjectKind::LargeObject),
    ("DEFAULT_PRIVILEGES", ObjectKind::DefaultPrivileges),
    ("SYSTEM", ObjectKind::System),
    ("PROPERTY_GRAPH", ObjectKind::PropertyGraph),
    ("OWNED", ObjectKind::Owned),
    ("PARAMETER", ObjectKind::Parameter),
];

/// `None` when the words are not known.
fn kind_after(kind: K, prefix: &str) -> Option<ObjectKind> {
    let name = format!("{kind:?}");
    let words = name.strip_prefix(prefix)?;
    KINDS.iter().find(|(start, _)| words.starts_with(start)).map(|(_, kind)| *kind)
}

pub(super) fn alter_kind(kind: K) -> ObjectKind {
    kind_after(kind, "ALTER_").unwrap_or_default()
}

pub(super) fn dropped_kind(kind: K) -> Option<ObjectKind> {
    kind_after(kind, "DROP_")
}

pub(super) fn object_kind(kind: K) -> Option<ObjectKind> {
    kind_after(kind, "OBJECT_")
}

pub(super) fn created_kind(kind: K) -> Option<ObjectKind> {
    kind_after(kind, "CREATE_")
}

/// The name of a function or its like, without its arguments; of anything else its name.
pub(super) fn signature_name(source: &Source, node: &Node) -> ObjectName {
    let names = [K::FUNCTION_NAME_REF, K::PROCEDURE_NAME_REF, K::ROUTINE_NAME_REF, K::PATH_REF];
    match node.kind() {
        K::OP_SIG => {
            let operator = text_of(node).split('(').next().unwrap_or_default().trim().to_owned();
            ObjectName { name: operator, schema: None, span: source.span_of(node) }
        }
        K::CAST_SIG | K::LITERAL => {
            ObjectName { name: text_of(node), schema: None, span: source.span_of(node) }
        }
        _ => source.name(&node.first_of(&names).unwrap_or_else(|| node.clone())),
    }
}

/// Types of a function's arguments, when they are written. OUT arguments do not count.
pub(super) fn object_arguments(source: &Source, node: &Node) -> Option<Vec<TypeName>> {
    let list = node.first(K::PARAM_LIST)?;
    let inputs = list.every(K::PARAM).into_iter().filter(|param| !param.has(K::PARAM_OUT));
    Some(inputs.filter_map(|param| source.type_in(&param)).collect())
}

impl Source<'_> {
    pub(super) fn drop(&self, node: &Node, kind: ObjectKind) -> Drop {
        let table = node.first_of(&[K::ON_RELATION, K::ON_TABLE]).and_then(|on| on.first_child());
        let table = table.map(|table| self.name(&table));
        let mut targets = Vec::new();
        for child in node.children() {
            match child.kind() {
                K::FUNCTION_SIG_LIST | K::PROCEDURE_SIG_LIST | K::ROUTINE_SIG_LIST | K::OP_SIG_LIST => {
                    targets.extend(child.children().map(|one| self.drop_target(&one, None)));
                }
                K::ROLE_REF_LIST => {
                    targets.extend(child.every(K::ROLE_REF).iter().map(|one| self.drop_target(one, None)));
                }
                K::IF_EXISTS | K::CASCADE | K::RESTRICT | K::ON_RELATION | K::ON_TABLE => {}
                K::USING_METHOD | K::SERVER_CLAUSE | K::DROP_DATABASE_FORCE_CLAUSE => {}
                kind if is_type(kind) => {}
                _ => targets.push(self.drop_target(&child, table.clone())),
            }
        }
        Drop {
            kind,
            if_exists: node.has(K::IF_EXISTS),
            is_concurrent: node.has(K::CONCURRENTLY_KW),
            is_cascade: node.has(K::CASCADE),
            targets,
        }
    }

    fn drop_target(&self, node: &Node, table: Option<ObjectName>) -> DropTarget {
        DropTarget { name: signature_name(self, node), table, arguments: object_arguments(self, node) }
    }

    pub(super) fn comment_on(&self, node: &Node) -> Option<Comment> {
        let object = node.first_child()?;
        let mut kind = object_kind(object.kind())?;
        let target = object.first_child();
        let text = node.first(K::LITERAL).and_then(|text| string_of(&text));
        if kind == ObjectKind::Column {
            let (name, column) = self.qualified_column(&target?);
            return Some(Comment { kind, name, column: Some(column), on: None, text });
        }
        let on = object.children().nth(1).filter(|on| !is_type(on.kind()));
        let on = on.map(|on| {
            if on.kind() == K::ON_RELATION || on.kind() == K::ON_TABLE {
                on.first_child().unwrap_or(on)
            } else {
                on
            }
        });
        if kind == ObjectKind::Constraint && object.has(K::DOMAIN_KW) {
            kind = ObjectKind::DomainConstraint;
        }
        let name = target.map(|target| signature_name(self, &target)).unwrap_or_default();
        Some(Comment { kind, name, column: None, on: on.map(|on| self.name(&on)), text })
    }

    pub(super) fn create_view(&self, node: &Node) -> CreateView {
        let check = node.first(K::WITH_CHECK_OPTION);
        let check_option =
            check.map(|check| if check.has(K::LOCAL_CHECK_OPTION) { "local" } else { "cascaded" }.to_owned());
        CreateView {
            name: self.name_in(node, K::VIEW),
            is_materialized: node.kind() == K::CREATE_MATERIALIZED_VIEW,
            or_replace: node.has(K::OR_REPLACE),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            is_recursive: node.has(K::RECURSIVE_KW),
            persistence: persistence(node),
            columns: self.columns(node, K::COLUMN_LIST),
            options: self.with_params(node),
            access_method: self.access_method(node),
            tablespace: self.tablespace(node),
            query: self.query_in(node).unwrap_or_default(),
            with_no_data: node.has(K::WITH_NO_DATA),
            check_option,
        }
    }

    pub(super) fn create_sequence(&self, node: &Node) -> CreateSequence {
        CreateSequence {
            name: self.name_in(node, K::SEQUENCE),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            persistence: persistence(node),
            options: self.sequence_options(node),
        }
    }

    pub(super) fn create_type(&self, node: &Node) -> CreateType {
        let body = node.first_of(&[K::ENUM_TYPE, K::COMPOSITE_TYPE, K::RANGE_TYPE, K::BASE_TYPE]);
        let definition = match body {
            Some(body) if body.kind() == K::ENUM_TYPE => {
                let list = body.first(K::VARIANT_LIST);
                let variants = list.iter().flat_map(|list| list.every(K::VARIANT));
                let labels = variants.filter_map(|variant| string_of(&variant.first(K::LITERAL)?)).collect();
                TypeDefinition::Enum { labels }
            }
            Some(body) if body.kind() == K::COMPOSITE_TYPE => {
                let list = body.first(K::COMPOSITE_FIELD_LIST);
                let fields = list.iter().flat_map(|list| list.every(K::COMPOSITE_FIELD_DEF));
                TypeDefinition::Composite {
                    columns: fields.map(|field| self.column_definition(&field)).collect(),
                }
            }
            Some(body) if body.kind() == K::RANGE_TYPE => {
                TypeDefinition::Range { options: self.attributes(&body) }
            }
            Some(body) => TypeDefinition::Base { options: self.attributes(&body) },
            None if node.has(K::ATTRIBUTE_LIST) => TypeDefinition::Base { options: self.attributes(node) },
            None => TypeDefinition::Shell,
        };
        CreateType { name: self.name_in(node, K::TYPE_NAME), definition }
    }

    pub(super) fn create_domain(&self, node: &Node) -> CreateDomain {
        let default = node.first(K::DEFAULT_CONSTRAINT);
        let constraints = node.children().filter_map(|child| self.table_constraint(&child));
        CreateDomain {
            name: self.name_in(node, K::DOMAIN),
            base: self.type_in(node).unwrap_or_default(),
            collation: self.collation(node),
            default: default.and_then(|default| self.expression_in(&default)),
            is_not_null: node.has(K::NOT_NULL_CONSTRAINT),
            constraints: constraints.collect(),
        }
    }

    pub(super) fn create_policy(&self, node: &Node) -> CreatePolicy {
        let command = node.first(K::POLICY_COMMAND).and_then(|command| command.first_child());
        let kind = node.first(K::AS_POLICY_TYPE);
        CreatePolicy {
            name: self.identifier_in(node, K::POLICY).unwrap_or_default(),
            table: node.first(K::ON_TABLE).map(|on| self.name_in(&on, K::TABLE_NAME_REF)).unwrap_or_default(),
            is_restrictive: kind.is_some_and(|kind| kind.words().ends_with("restrictive")),
            command: command.map_or_else(|| "all".to_owned(), |command| command.words()),
            roles: self.policy_roles(node),
            using: self.clause(node, K::USING_EXPR_CLAUSE),
            with_check: self.clause(node, K::WITH_CHECK_EXPR_CLAUSE),
        }
    }

    pub(super) fn policy_roles(&self, node: &Node) -> Vec<Identifier> {
        let list = node.first(K::POLICY_ROLES).and_then(|roles| roles.first(K::ROLE_REF_LIST));
        list.map(|list| self.identifiers(list.every(K::ROLE_REF))).unwrap_or_default()
    }

    pub(super) fn create_statistics(&self, node: &Node) -> CreateStatistics {
        let kinds = node.first(K::STAT_TYPES);
        let on = node.first(K::STATISTICS_ON_CLAUSE);
        let parts: Vec<Node> = on.iter().flat_map(|on| on.children()).collect();
        let (columns, expressions): (Vec<Node>, Vec<Node>) =
            parts.into_iter().partition(|part| part.kind() == K::NAME_REF);
        CreateStatistics {
            name: node.first(K::STATISTICS).map(|name| self.name(&name)),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            kinds: kinds
                .iter()
                .flat_map(|kinds| kinds.every(K::STATISTICS_KIND))
                .map(|kind| name_of(&kind))
                .collect(),
            columns: self.identifiers(columns),
            expressions: expressions.iter().map(|node| self.expression(node)).collect::<Vec<Expression>>(),
            table: node
                .first(K::FROM_TABLE)
                .map(|from| self.name_in(&from, K::TABLE_NAME_REF))
                .unwrap_or_default(),
        }
    }

    pub(super) fn create_publication(&self, node: &Node) -> CreatePublication {
        let all = node.first(K::FOR_ALL_PUBLICATION_OBJECTS);
        let some = node.first(K::FOR_PUBLICATION_OBJECTS);
        let (tables, schemas) = some.map(|some| self.publication_objects(&some)).unwrap_or_default();
        CreatePublication {
            name: self.identifier_in(node, K::PUBLICATION).unwrap_or_default(),
            all_tables: all.is_some_and(|all| all.has(K::ALL_PUBLICATION_TABLES)),
            tables,
            schemas,
            options: self.with_params(node),
        }
    }

    /// Tables and schemas of a publication. In `TABLES IN SCHEMA a, b` squawk takes the second one for a table, since
    /// no word stands before it.
    pub(super) fn publication_objects(&self, node: &Node) -> (Vec<PublicationTable>, Vec<Identifier>) {
        let mut tables = Vec::new();
        let mut schemas = Vec::new();
        let mut is_schema = false;
        for object in node.children() {
            match object.kind() {
                K::PUBLICATION_OBJECT_TABLE => {
                    is_schema &= !object.has(K::TABLE_KW);
                    if is_schema {
                        schemas.push(self.identifier(&object));
                    } else {
                        tables.push(self.publication_table(&object));
                    }
                }
                K::PUBLICATION_OBJECT_TABLES_IN_SCHEMA | K::PUBLICATION_OBJECT_CURRENT_SCHEMA => {
                    is_schema = true;
                    let current = Identifier::new("current_schema", self.span_of(&object));
                    schemas.push(self.identifier_in(&object, K::SCHEMA_REF).unwrap_or(current));
                }
                _ => {}
            }
        }
        (tables, schemas)
    }

    fn publication_table(&self, node: &Node) -> PublicationTable {
        PublicationTable {
            name: self.name_in(node, K::TABLE_NAME_REF),
            is_only: node.has(K::ONLY_KW),
            columns: self.columns(node, K::COLUMN_REF_LIST),
            condition: self.clause(node, K::WHERE_CONDITION_CLAUSE),
        }
    }

    pub(super) fn create_subscription(&self, node: &Node) -> CreateSubscription {
        CreateSubscription {
            name: self.identifier_in(node, K::SUBSCRIPTION).unwrap_or_default(),
            publications: self.identifiers(node.every(K::PUBLICATION_REF)),
            options: self.with_params(node),
        }
    }

    pub(super) fn create_extension(&self, node: &Node) -> CreateExtension {
        let schema = node.first(K::EXTENSION_SCHEMA);
        let version = node.first(K::EXTENSION_VERSION_CLAUSE).and_then(|clause| clause.first_child());
        CreateExtension {
            name: self.identifier_in(node, K::EXTENSION).unwrap_or_default(),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            schema: schema.and_then(|schema| self.identifier_in(&schema, K::SCHEMA_REF)),
            version: version.map(|version| string_of(&version).unwrap_or_else(|| name_of(&version))),
            is_cascade: node.has(K::CASCADE_KW),
        }
    }

    pub(super) fn create_schema(&self, node: &Node) -> CreateSchema {
        let named = node.first(K::NAMED_SCHEMA);
        let owner = named.as_ref().and_then(|named| self.identifier_in(named, K::ROLE_REF));
        let authorized = node.first(K::AUTHORIZATION_SCHEMA);
        let authorized = authorized.and_then(|authorized| self.identifier_in(&authorized, K::ROLE));
        let heads = [K::NAMED_SCHEMA, K::AUTHORIZATION_SCHEMA, K::IF_NOT_EXISTS];
        let elements = node.children().filter(|child| !heads.contains(&child.kind()));
        let elements = elements.enumerate().map(|(index, element)| {
            let statement = self.statement(&element);
            self.locate(&element, statement, index + 1)
        });
        let name = named.and_then(|named| self.identifier_in(&named, K::SCHEMA));
        CreateSchema {
            name: name.or_else(|| authorized.clone()).unwrap_or_default(),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
            owner: owner.or(authorized),
            elements: elements.collect(),
        }
    }

    pub(super) fn create_other(&self, node: &Node, kind: ObjectKind) -> Statement {
        let heads = [K::OR_REPLACE, K::IF_NOT_EXISTS, K::TEMP, K::UNLOGGED, K::CAST_SIG];
        let is_name = |child: &Node| {
            !heads.contains(&child.kind()) && !is_type(child.kind()) && !is_query(child.kind())
        };
        let has_name = !matches!(kind, ObjectKind::Cast | ObjectKind::Transform | ObjectKind::UserMapping);
        let name = node.children().find(is_name).filter(|_| has_name);
        let name = match kind {
            ObjectKind::Operator => Some(self.operator_name(node)),
            _ => name.map(|name| self.name(&name)),
        };
        Statement::CreateOther(Box::new(CreateOther {
            kind,
            name,
            or_replace: node.has(K::OR_REPLACE),
            if_not_exists: node.has(K::IF_NOT_EXISTS),
        }))
    }

    /// An operator is a run of tokens, or a node, depending on which it is.
    fn operator_name(&self, node: &Node) -> ObjectName {
        let text = text_of(node);
        let head = text.split('(').next().unwrap_or_default();
        let name = head.rsplit(char::is_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
        let (schema, name) = match name.rsplit_once('.') {
            Some((schema, name)) => (Some(schema.to_owned()), name),
            None => (None, name),
        };
        ObjectName { schema, name: name.to_owned(), span: self.span_of(node) }
    }
}
