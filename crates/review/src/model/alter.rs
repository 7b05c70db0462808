//! ALTER of what has columns: each action is a step, and the steps together are the statement.
//!
//! Not for: ALTER of indexes, sequences, types and the rest (`index`, `alter_object`, `domain`).

use posthaste_base::catalog::{Relation, RelationKind};

use super::builder::{Builder, Found};
use super::form::{Form, Whom};
use super::forms::{alter_table as forms, objects};
use super::type_change::NewType;
use super::{WorkKind, alter_column, alter_object, column, constraint, domain, index, partition, relations};
use crate::statement::{Action, Alter, ObjectKind, ReplicaIdentity, Setting, TriggerChoice};

/// Which tables an action reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Named,
    /// Its partitions and the tables that inherit from it, too, unless ONLY.
    Family,
}

/// One action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) form: &'static Form,
    pub(super) reach: Reach,
    pub(super) work: Option<WorkKind>,
    /// Locks the family, and works on the table alone.
    pub(super) works_on_named_alone: bool,
    /// A second row, for what it brings along.
    pub(super) also: Option<&'static Form>,
}

impl Step {
    pub(super) fn of(form: &'static Form, reach: Reach) -> Self {
        Self { form, reach, work: None, works_on_named_alone: false, also: None }
    }

    pub(super) fn raise(&mut self, work: WorkKind) {
        self.work = self.work.max(Some(work));
    }

    fn reaches(&self, version: u32) -> bool {
        let has = |form: &Form| form.mode(Whom::Descendants, version).is_some();
        self.reach == Reach::Family && (has(self.form) || self.also.is_some_and(has))
    }
}

pub(super) fn apply(builder: &mut Builder<'_>, alter: &Alter) {
    match alter.kind {
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Index
        | ObjectKind::Sequence => named(builder, alter),
        ObjectKind::Domain | ObjectKind::Type => domain::alter(builder, alter),
        _ => alter_object::apply(builder, alter),
    }
}

fn named(builder: &mut Builder<'_>, alter: &Alter) {
    match builder.find(&alter.name) {
        Found::Relation(relation) => on_relation(builder, alter, relation),
        Found::Index(table, found) => index::alter(builder, alter, table, found),
        Found::Sequence(name) => alter_object::sequence(builder, alter, &name.clone()),
        Found::Nothing if alter.if_exists => {}
        Found::Nothing => builder.refuse(format!("relation `{}` does not exist", alter.name)),
        Found::Unknown(name) => {
            // A table of that name alone: what hangs on it is not known.
            let alone = Relation { name, ..Relation::default() };
            match alter.kind {
                ObjectKind::Index => index::alter_unknown(builder, alter, &alone.name),
                ObjectKind::Sequence => alter_object::sequence(builder, alter, &alone.name),
                _ => on_relation(builder, alter, &alone),
            }
            builder.depends(format!("what `{}` is, which no catalog tells", alter.name));
        }
    }
}

fn on_relation(builder: &mut Builder<'_>, alter: &Alter, relation: &Relation) {
    let dropped: Vec<&str> = alter
        .clauses
        .iter()
        .filter_map(|clause| match &clause.action {
            Action::DropConstraint { constraint, .. } => Some(constraint.as_str()),
            _ => None,
        })
        .collect();
    let steps: Vec<Step> = alter
        .clauses
        .iter()
        .map(|clause| action(builder, alter, relation, &clause.action, &dropped))
        .collect();
    let version = builder.version;
    for step in &steps {
        builder.block(step.form);
        if version < step.form.since {
            builder.needs(step.form.since, step.form.text);
        }
    }
    let modes = steps.iter().filter_map(|step| step.form.mode(Whom::Named, version));
    let Some(mode) = modes.max() else { return };
    builder.lock_table(&relation.name, mode);
    let is_inherited = !alter.is_only && steps.iter().any(|step| step.reaches(version));
    let descendants = relations::descendants(builder.catalog, relation);
    if is_inherited {
        // All of one statement's tables are locked in its strongest mode.
        for descendant in &descendants {
            builder.lock_table(&descendant.name, mode);
        }
    }
    for step in &steps {
        let Some(work) = step.work else { continue };
        work_on(builder, step.form, relation, work);
        if is_inherited && !step.works_on_named_alone || relation.kind == RelationKind::PartitionedTable {
            for descendant in descendants.iter().filter(|_| !alter.is_only && !step.works_on_named_alone) {
                work_on(builder, step.form, descendant, work);
            }
        }
    }
}

/// Scans or rewrites a table; a rewrite takes all its indexes along.
fn work_on(builder: &mut Builder<'_>, form: &Form, relation: &Relation, work: WorkKind) {
    // Of what no catalog knows the worst is taken.
    if !relations::has_rows(relation) {
        return;
    }
    builder.work_on_table(&relation.name, work);
    if work == WorkKind::Rewrite {
        for index in relation.indexes.iter().filter(|index| !index.is_partitioned) {
            builder.take_index(form, Whom::Indexes, &index.name);
            builder.work_on_index(&index.name, WorkKind::Build);
        }
    }
}

/// One action's step; what it locks beside the table and its family is locked at once.
fn action(
    builder: &mut Builder<'_>,
    alter: &Alter,
    relation: &Relation,
    action: &Action,
    dropped: &[&str],
) -> Step {
    let is_view = matches!(relation.kind, RelationKind::View);
    let family = |form| Step::of(form, Reach::Family);
    let alone = |form| Step::of(form, Reach::Named);
    match action {
        // A view's own actions.
        Action::AddColumn { .. } | Action::SetType { .. } | Action::DropColumn { .. } if is_view => {
            builder.refuse("a view's columns are those of its query");
            alone(&objects::ALTER_VIEW)
        }
        _ if is_view => {
            if matches!(action, Action::RenameColumn { .. }) && alter.kind == ObjectKind::View {
                builder.needs(13, "ALTER VIEW RENAME COLUMN");
            }
            alone(&objects::ALTER_VIEW)
        }
        Action::AddColumn { if_not_exists, column } => {
            column::add(builder, relation, column, *if_not_exists, alter.is_only)
        }
        Action::DropColumn { column, if_exists, is_cascade } => {
            alter_column::drop(builder, alter, relation, column.as_str(), *if_exists, *is_cascade)
        }
        Action::RenameColumn { from, .. } => {
            let found = existing(builder, relation, from.as_str());
            if found && is_inherited(builder, relation, from.as_str()) {
                builder.refuse(format!("column `{from}` is inherited"));
            }
            let has_children = builder.catalog.children(&relation.name).next().is_some();
            if alter.is_only && has_children {
                builder.refuse("an inherited column must be renamed in the children too");
            }
            family(&forms::RENAME_COLUMN)
        }
        Action::SetType { column, type_name, collation, using } => {
            let new = NewType { type_name, collation: collation.as_ref(), using: using.as_ref() };
            alter_column::set_type(builder, alter, relation, column.as_str(), new)
        }
        Action::SetDefault { column, .. } | Action::DropDefault { column } => {
            existing(builder, relation, column.as_str());
            family(&forms::SET_DEFAULT)
        }
        Action::SetNotNull { column } => {
            existing(builder, relation, column.as_str());
            let mut step = family(&forms::SET_NOT_NULL);
            let columns = [column.name.clone()];
            let family = relations::family(builder.catalog, relation);
            let scans = family.iter().any(|r| constraint::needs_null_scan(builder, r, &columns, dropped));
            if scans || family.is_empty() {
                step.raise(WorkKind::Scan);
            }
            step
        }
        Action::DropNotNull { column } => {
            existing(builder, relation, column.as_str());
            let in_key = relation.constraints.iter().any(|c| {
                c.kind == posthaste_base::catalog::ConstraintKind::PrimaryKey
                    && c.columns.contains(&column.name)
            });
            if in_key {
                builder.refuse(format!("column `{column}` is in a primary key"));
            }
            family(&forms::DROP_NOT_NULL)
        }
        Action::SetExpression { column, .. } => set_expression(builder, relation, column.as_str()),
        Action::DropExpression { .. } => family(&forms::DROP_EXPRESSION),
        Action::AddIdentity { .. } => alone(&forms::ADD_IDENTITY),
        Action::SetIdentity { column, .. } => {
            with_sequences(builder, relation, column.as_str(), &forms::SET_IDENTITY)
        }
        Action::DropIdentity { column, .. } => {
            with_sequences(builder, relation, column.as_str(), &forms::DROP_IDENTITY)
        }
        Action::SetStatistics { column, .. } => {
            existing(builder, relation, column.as_str());
            family(&forms::SET_STATISTICS)
        }
        Action::SetColumnOptions { .. } | Action::ResetColumnOptions { .. } => alone(&forms::COLUMN_OPTIONS),
        Action::SetStorage { .. } => family(&forms::SET_STORAGE),
        Action::SetCompression { .. } => alone(&forms::SET_COMPRESSION),
        Action::AddConstraint(added) => constraint::add(builder, relation, added, alter.is_only, dropped),
        Action::AlterConstraint { constraint, change } => {
            constraint::alter(builder, relation, constraint.as_str(), *change)
        }
        Action::ValidateConstraint { constraint } => {
            constraint::validate(builder, relation, constraint.as_str())
        }
        Action::DropConstraint { constraint, if_exists, is_cascade } => {
            constraint::drop(builder, relation, constraint.as_str(), *if_exists, *is_cascade)
        }
        Action::RenameConstraint { from, .. } => rename_constraint(builder, relation, from.as_str()),
        Action::Trigger { which, .. } => {
            let name = match which {
                TriggerChoice::Named(name) => Some(name.as_str()),
                TriggerChoice::All | TriggerChoice::User => None,
            };
            alter_object::take_trigger_partitions(builder, &forms::TOGGLE_TRIGGER, relation, name);
            alone(&forms::TOGGLE_TRIGGER)
        }
        Action::Rule { .. } => alone(&forms::TOGGLE_RULE),
        Action::RowSecurity(_) => alone(&forms::ROW_SECURITY),
        Action::ClusterOn { index } => {
            let found = relation.indexes.iter().find(|other| other.name.name == index.name);
            if let Some(found) = found {
                builder.take_index(&forms::CLUSTER_ON, Whom::Index, &found.name);
            }
            alone(&forms::CLUSTER_ON)
        }
        Action::SetWithoutCluster => alone(&forms::SET_WITHOUT_CLUSTER),
        Action::SetLogged => persist(builder, relation, relation.is_unlogged),
        Action::SetUnlogged => persist(builder, relation, !relation.is_unlogged),
        Action::SetAccessMethod { method } => {
            let mut step = alone(&forms::SET_ACCESS_METHOD);
            let is_same = method.as_ref().is_some_and(|method| method.name == relation.access_method);
            if !is_same {
                step.raise(WorkKind::Rewrite);
            }
            step
        }
        Action::SetTablespace { tablespace, .. } => {
            let there = relation.tablespace.as_str();
            if *tablespace != there && !(there.is_empty() && *tablespace == "pg_default") {
                // Its file is copied; its indexes stay.
                builder.work_on_table(&relation.name, WorkKind::Rewrite);
            }
            alone(&forms::SET_TABLESPACE)
        }
        Action::SetOptions { options } => alone(options_form(options)),
        Action::ResetOptions { options } => {
            let is_strong = options.iter().any(|option| option == "user_catalog_table");
            alone(if is_strong { &forms::SET_STRONG_OPTIONS } else { &forms::SET_OPTIONS })
        }
        Action::ReplicaIdentity(identity) => {
            if let ReplicaIdentity::Index(index) = identity
                && let Some(found) = relation.indexes.iter().find(|other| other.name.name == index.name)
            {
                builder.take_index(&forms::REPLICA_IDENTITY, Whom::Index, &found.name);
            }
            alone(&forms::REPLICA_IDENTITY)
        }
        Action::Inherit { parent } => partition::inherit(builder, parent),
        Action::NoInherit { parent } => partition::no_inherit(builder, parent),
        Action::AttachPartition { partition, bound } => {
            partition::attach(builder, relation, partition, bound)
        }
        Action::DetachPartition { partition, is_concurrent, is_finalize } => {
            partition::detach(builder, relation, partition, *is_concurrent, *is_finalize)
        }
        Action::OfType { type_name } => {
            if let Found::Relation(kind) = builder.find(type_name) {
                builder.take(&forms::OF_TYPE, Whom::Read, &kind.name);
            }
            alone(&forms::OF_TYPE)
        }
        Action::NotOf => alone(&forms::NOT_OF),
        Action::ForeignOptions { .. } | Action::ColumnForeignOptions { .. } => alone(&forms::FOREIGN_OPTIONS),
        Action::RenameTo { to } => {
            let schema = relation.name.schema.as_str();
            let is_taken = builder.catalog.relation(Some(schema), to.as_str()).is_some()
                || builder.catalog.index(Some(schema), to.as_str()).is_some();
            if is_taken {
                builder.refuse(format!("`{to}` is there already"));
            }
            alone(&forms::RENAME)
        }
        Action::SetSchema { .. } => {
            for sequence in relations::sequences(builder.catalog, relation, None) {
                builder.take(&forms::SET_SCHEMA, Whom::Sequences, &sequence.name);
            }
            alone(&forms::SET_SCHEMA)
        }
        Action::OwnerTo { owner } => owner_to(builder, relation, owner.as_str()),
        // Anything else is rare; the strongest mode is right for what is not known better.
        _ => alone(&forms::RENAME),
    }
}

fn options_form(options: &[Setting]) -> &'static Form {
    let is_strong = options.iter().any(|option| option.name == "user_catalog_table");
    if is_strong { &forms::SET_STRONG_OPTIONS } else { &forms::SET_OPTIONS }
}

/// Refuses a column that is not there, where the table is known.
pub(super) fn existing(builder: &mut Builder<'_>, relation: &Relation, column: &str) -> bool {
    let is_there = relation.columns.iter().any(|other| other.name == column);
    if !is_there && !relation.columns.is_empty() {
        builder.refuse(format!("column `{column}` does not exist"));
    }
    is_there
}

/// Whether a parent has the column too.
pub(super) fn is_inherited(builder: &Builder<'_>, relation: &Relation, column: &str) -> bool {
    let parents = relation.parents.iter().filter_map(|parent| relations::by_name(builder.catalog, parent));
    parents.into_iter().any(|parent| parent.columns.iter().any(|other| other.name == column))
}

/// SET LOGGED or UNLOGGED. No logged table may refer to one that is not.
fn persist(builder: &mut Builder<'_>, relation: &Relation, changes: bool) -> Step {
    let mut step = Step::of(&forms::SET_LOGGED, Reach::Named);
    if relation.kind == RelationKind::PartitionedTable {
        if builder.version >= 18 {
            builder.refuse("a partitioned table has no file of its own");
        }
        return step;
    }
    let others: Vec<&Relation> = if relation.is_unlogged {
        let names = relations::foreign_keys(relation).filter_map(|key| Some(&key.references.as_ref()?.table));
        names.filter_map(|name| relations::by_name(builder.catalog, name)).filter(|r| r.is_unlogged).collect()
    } else {
        relations::referencing(builder.catalog, relation).map(|(r, _)| r).filter(|r| !r.is_unlogged).collect()
    };
    if let Some(other) = others.iter().find(|other| changes && other.name != relation.name) {
        builder.refuse(format!("a foreign key binds it to `{}`", other.name.name));
    }
    if changes {
        step.raise(WorkKind::Rewrite);
    }
    step
}

fn with_sequences(builder: &mut Builder<'_>, relation: &Relation, column: &str, form: &'static Form) -> Step {
    for sequence in relations::sequences(builder.catalog, relation, Some(column)) {
        builder.take(form, Whom::Sequences, &sequence.name);
    }
    Step::of(form, Reach::Named)
}

fn owner_to(builder: &mut Builder<'_>, relation: &Relation, owner: &str) -> Step {
    let step = Step::of(&forms::OWNER, Reach::Named);
    if relation.owner == owner {
        return step;
    }
    if matches!(owner, "current_user" | "current_role" | "session_user") {
        builder.depends("whether the current role owns it already");
    }
    builder.take_indexes(&forms::OWNER, Whom::Indexes, relation);
    for sequence in relations::sequences(builder.catalog, relation, None) {
        builder.take(&forms::OWNER, Whom::Sequences, &sequence.name);
    }
    step
}

fn rename_constraint(builder: &mut Builder<'_>, relation: &Relation, name: &str) -> Step {
    let form = &forms::RENAME_CONSTRAINT;
    let Some(found) = constraint::find(builder, relation, name, false) else {
        return Step::of(form, Reach::Named);
    };
    if let Some(index) = &found.index {
        builder.take_index(form, Whom::Index, index);
    }
    let is_check = found.kind == posthaste_base::catalog::ConstraintKind::Check;
    Step::of(form, if is_check && !found.no_inherit { Reach::Family } else { Reach::Named })
}

fn set_expression(builder: &mut Builder<'_>, relation: &Relation, column: &str) -> Step {
    let mut step = Step::of(&forms::SET_EXPRESSION, Reach::Family);
    let found = relation.columns.iter().find(|other| other.name == column);
    match found.and_then(|found| found.generated.as_deref()) {
        Some("v") => {
            let has_check = relation
                .constraints
                .iter()
                .any(|constraint| constraint.kind == posthaste_base::catalog::ConstraintKind::Check);
            if has_check {
                builder.refuse("SET EXPRESSION of a virtual column is not supported on a table with CHECKs");
            }
        }
        _ => step.raise(WorkKind::Rewrite),
    }
    step
}
