//! GRANT, REVOKE and ALTER DEFAULT PRIVILEGES.

use super::object::signature_name;
use super::tree::{K, Node, Source, Tree, name_of};
use crate::statement::{Grant, Identifier, ObjectKind, ObjectName};

/// What privileges are on, by the kind of the node; those without a word are tables.
const OBJECTS: &[(K, ObjectKind)] = &[
    (K::PRIVILEGE_DEFAULT, ObjectKind::Table),
    (K::PRIVILEGE_TABLE, ObjectKind::Table),
    (K::PRIVILEGE_ALL_TABLES_IN_SCHEMA, ObjectKind::Table),
    (K::PRIVILEGE_TARGET_TABLES, ObjectKind::Table),
    (K::PRIVILEGE_SEQUENCE, ObjectKind::Sequence),
    (K::PRIVILEGE_ALL_SEQUENCES_IN_SCHEMA, ObjectKind::Sequence),
    (K::PRIVILEGE_TARGET_SEQUENCES, ObjectKind::Sequence),
    (K::PRIVILEGE_FUNCTION, ObjectKind::Function),
    (K::PRIVILEGE_ALL_FUNCTIONS_IN_SCHEMA, ObjectKind::Function),
    (K::PRIVILEGE_TARGET_FUNCTIONS, ObjectKind::Function),
    (K::PRIVILEGE_PROCEDURE, ObjectKind::Procedure),
    (K::PRIVILEGE_ALL_PROCEDURES_IN_SCHEMA, ObjectKind::Procedure),
    (K::PRIVILEGE_ROUTINE, ObjectKind::Routine),
    (K::PRIVILEGE_ALL_ROUTINES_IN_SCHEMA, ObjectKind::Routine),
    (K::PRIVILEGE_TARGET_ROUTINES, ObjectKind::Routine),
    (K::PRIVILEGE_TYPE, ObjectKind::Type),
    (K::PRIVILEGE_TARGET_TYPES, ObjectKind::Type),
    (K::PRIVILEGE_DOMAIN, ObjectKind::Domain),
    (K::PRIVILEGE_SCHEMA, ObjectKind::Schema),
    (K::PRIVILEGE_TARGET_SCHEMAS, ObjectKind::Schema),
    (K::PRIVILEGE_DATABASE, ObjectKind::Database),
    (K::PRIVILEGE_LANGUAGE, ObjectKind::Language),
    (K::PRIVILEGE_TABLESPACE, ObjectKind::Tablespace),
    (K::PRIVILEGE_PARAMETER, ObjectKind::Parameter),
    (K::PRIVILEGE_FOREIGN_DATA_WRAPPER, ObjectKind::ForeignDataWrapper),
    (K::PRIVILEGE_FOREIGN_SERVER, ObjectKind::Server),
    (K::PRIVILEGE_LARGE_OBJECT, ObjectKind::LargeObject),
    (K::PRIVILEGE_TARGET_LARGE_OBJECTS, ObjectKind::LargeObject),
    (K::PRIVILEGE_PROPERTY_GRAPH, ObjectKind::PropertyGraph),
];

impl Source<'_> {
    pub(super) fn grant(&self, node: &Node) -> Grant {
        let inner = node.first_of(&[K::GRANT_DEFAULT_PRIVILEGES, K::REVOKE_DEFAULT_PRIVILEGES]);
        let body = inner.clone().unwrap_or_else(|| node.clone());
        let holder = body.first(K::ON_PRIVILEGE_OBJECTS_CLAUSE).unwrap_or_else(|| body.clone());
        let on = holder.children().find_map(|child| {
            let (_, kind) = OBJECTS.iter().find(|(one, _)| *one == child.kind())?;
            Some((child, *kind))
        });
        let (privileges, columns) = self.privileges(&body);
        let mut objects = Vec::new();
        let mut schemas = Vec::new();
        if let Some((on, kind)) = &on {
            let is_all = on.has(K::IN_KW);
            let names = on.children().flat_map(|child| match child.kind() {
                K::FUNCTION_SIG_LIST | K::PROCEDURE_SIG_LIST | K::ROUTINE_SIG_LIST => {
                    child.children().collect()
                }
                _ => vec![child],
            });
            let names: Vec<Node> = names.collect();
            if is_all && *kind != ObjectKind::Schema {
                schemas = self.identifiers(names);
            } else {
                objects = names.iter().map(|name| signature_name(self, name)).collect::<Vec<ObjectName>>();
            }
        }
        if let Some(named) = node.first(K::IN_SCHEMAS) {
            schemas = self.identifiers(named.every(K::SCHEMA_REF));
        }
        let grantees = body.every(K::ROLE_REF_LIST).pop();
        Grant {
            is_revoke: matches!(body.kind(), K::REVOKE | K::REVOKE_DEFAULT_PRIVILEGES),
            privileges,
            columns,
            kind: on.map(|(_, kind)| kind),
            objects,
            schemas,
            grantees: grantees.map(|list| self.identifiers(list.every(K::ROLE_REF))).unwrap_or_default(),
            is_default: inner.is_some(),
            is_cascade: body.has(K::CASCADE),
        }
    }

    /// squawk takes some privileges, such as INSERT, for names of roles, so that only the words are looked at.
    fn privileges(&self, body: &Node) -> (Vec<String>, Vec<Identifier>) {
        if let Some(all) = body.first(K::ALL_PRIVILEGES) {
            return (vec!["ALL".to_owned()], self.columns(&all, K::COLUMN_REF_LIST));
        }
        let list = body.first(K::REVOKE_COMMAND_LIST);
        let commands: Vec<Node> = list.iter().flat_map(|list| list.every(K::REVOKE_COMMAND)).collect();
        let is_of_roles = !body.has(K::ON_PRIVILEGE_OBJECTS_CLAUSE) && !body.has(K::ON_KW);
        let name = |command: &Node| match command.first(K::ROLE_REF) {
            Some(role) if is_of_roles => name_of(&role),
            _ => command.words().split(" (").next().unwrap_or_default().to_uppercase(),
        };
        let columns = commands.iter().flat_map(|command| self.columns(command, K::COLUMN_REF_LIST)).collect();
        (commands.iter().map(name).collect(), columns)
    }
}
