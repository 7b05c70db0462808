//! A foreign key without an index that begins with its columns.

use posthaste_base::catalog::Name;
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, column_object, names, remedy, shown};
use crate::severity::size;
use crate::statement::{
    Action, ColumnConstraintKind, CreateIndex, ForeignKeyAction, Identifier, ObjectName, Span, Statement,
    TableConstraintKind,
};

pub(super) const RULE: Rule = Rule {
    code: "foreign-key-without-index",
    title: "A foreign key has no index, so that deleting from the other table reads this one whole",
    page: page!("foreign-key-without-index"),
    check: Check::Statement(check),
};

struct Key<'a> {
    span: Span,
    table: Name,
    columns: Vec<String>,
    parent: &'a ObjectName,
    on_delete: ForeignKeyAction,
}

fn check(ctx: &Context<'_>, found: &mut Findings) {
    for key in keys(ctx) {
        if is_indexed(ctx, &key.table, &key.columns) {
            continue;
        }
        let is_new = ctx.is_new(&key.table);
        let parent = shown(&ctx.name(key.parent));
        let volume = ctx.volume(&key.table);
        let bytes = volume.bytes(crate::severity::Work::Scan).filter(|bytes| *bytes > 0);
        let reads = bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
        let action = match key.on_delete {
            ForeignKeyAction::Cascade => " to delete the rows",
            ForeignKeyAction::SetNull => " to set the rows to NULL",
            _ => "",
        };
        let message = format!(
            "no index of {} begins with {}: each DELETE in {parent} reads all of {}{reads}{action}",
            shown(&key.table),
            key.columns.join(", "),
            shown(&key.table)
        );
        let severity = match bytes {
            Some(bytes) if bytes > 10 << 20 => Severity::Medium,
            _ => Severity::Low,
        };
        let mut finding = ctx.finding_at(RULE.code, key.span, severity, message);
        if !ctx.state.has_catalog && !is_new {
            finding.confidence = posthaste_report::Confidence::Possible;
            finding.depends_on.push(format!(
                "whether {} has an index on {}",
                shown(&key.table),
                key.columns.join(", ")
            ));
        }
        finding.object = column_object(&key.table, &key.columns);
        finding.remedy = remedy(if is_new {
            "create the index with the table"
        } else {
            "build the index with CREATE INDEX CONCURRENTLY before the foreign key"
        });
        found.push(finding);
    }
}

fn keys<'a>(ctx: &Context<'a>) -> Vec<Key<'a>> {
    let mut keys = Vec::new();
    if let Statement::CreateTable(create) = ctx.statement() {
        let table = ctx.made_name(&create.name);
        for column in &create.columns {
            for constraint in &column.constraints {
                if let ColumnConstraintKind::References(key) = &constraint.kind {
                    let columns = vec![column.name.name.clone()];
                    keys.push(Key {
                        span: constraint.span,
                        table: table.clone(),
                        columns,
                        parent: &key.table,
                        on_delete: key.on_delete,
                    });
                }
            }
        }
        for constraint in &create.constraints {
            if let TableConstraintKind::ForeignKey { columns, key } = &constraint.kind {
                let columns = names(columns);
                keys.push(Key {
                    span: constraint.span,
                    table: table.clone(),
                    columns,
                    parent: &key.table,
                    on_delete: key.on_delete,
                });
            }
        }
    }
    for clause in ctx.clauses() {
        let (columns, key) = match clause.action() {
            Action::AddConstraint(constraint) => match &constraint.kind {
                TableConstraintKind::ForeignKey { columns, key } => (names(columns), key),
                _ => continue,
            },
            Action::AddColumn { column, .. } => {
                let key = column.constraints.iter().find_map(|constraint| match &constraint.kind {
                    ColumnConstraintKind::References(key) => Some(key),
                    _ => None,
                });
                let Some(key) = key else { continue };
                (vec![column.name.name.clone()], key)
            }
            _ => continue,
        };
        keys.push(Key {
            span: clause.span(),
            table: clause.table.clone(),
            columns,
            parent: &key.table,
            on_delete: key.on_delete,
        });
    }
    keys
}

/// Whether an index begins with the columns, in any order: one that is there, or one that the file makes anywhere.
fn is_indexed(ctx: &Context<'_>, table: &Name, columns: &[String]) -> bool {
    let begins = |keys: &[Option<String>]| {
        keys.len() >= columns.len()
            && keys[..columns.len()].iter().all(|key| key.as_ref().is_some_and(|key| columns.contains(key)))
    };
    let there = ctx.relation(table).is_some_and(|relation| {
        relation.indexes.iter().filter(|index| index.is_valid).any(|index| {
            let keys: Vec<_> = index.keys.iter().map(|key| key.column.clone()).collect();
            begins(&keys)
                && index.predicate.as_deref().is_none_or(|text| text.to_lowercase().contains("is not null"))
        })
    });
    there || ctx.all.iter().any(|located| makes_index(ctx, &located.statement, table, &begins))
}

fn makes_index(
    ctx: &Context<'_>,
    statement: &Statement,
    table: &Name,
    begins: &dyn Fn(&[Option<String>]) -> bool,
) -> bool {
    let listed =
        |columns: &[Identifier]| columns.iter().map(|column| Some(column.name.clone())).collect::<Vec<_>>();
    match statement {
        Statement::CreateIndex(create) => {
            let CreateIndex { keys, predicate, .. } = create.as_ref();
            // Rows without a value are none that a DELETE looks for.
            if predicate.as_ref().is_some_and(|predicate| !predicate.text.to_lowercase().contains("is not null")) {
                return false;
            }
            let keys: Vec<_> =
                keys.iter().map(|key| key.column.as_ref().map(|column| column.name.clone())).collect();
            ctx.name(&create.table) == *table && begins(&keys)
        }
        Statement::CreateTable(create) if ctx.made_name(&create.name) == *table => {
            let of_table = create.constraints.iter().any(|constraint| match &constraint.kind {
                TableConstraintKind::PrimaryKey { columns, .. }
                | TableConstraintKind::Unique { columns, .. } => begins(&listed(columns)),
                _ => false,
            });
            let of_column = create.columns.iter().any(|column| {
                let is_unique = column.constraints.iter().any(|constraint| {
                    matches!(
                        constraint.kind,
                        ColumnConstraintKind::PrimaryKey { .. } | ColumnConstraintKind::Unique { .. }
                    )
                });
                is_unique && begins(&[Some(column.name.name.clone())])
            });
            of_table || of_column
        }
        Statement::Alter(alter) if ctx.name(&alter.name) == *table => {
            alter.clauses.iter().any(|clause| match &clause.action {
                Action::AddConstraint(constraint) => match &constraint.kind {
                    TableConstraintKind::PrimaryKey { columns, .. }
                    | TableConstraintKind::Unique { columns, .. } => begins(&listed(columns)),
                    _ => false,
                },
                _ => false,
            })
        }
        _ => false,
    }
}
