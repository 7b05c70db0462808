//! What a file drops and makes again, such as views, triggers, policies and functions: nobody misses it, because all
//! that is said of it happens in one transaction, in the file's order.
//!
//! A column may change under views that go and come back: its change takes them along. Not for: indexes and
//! constraints, which are built beside the old ones.

use posthaste_base::catalog::{Name, Relation};

use super::draft::{Draft, Undo};
use super::outage::settle;
use super::world::World;
use super::{Clause, NoRoute, Stage, located_text, short};
use crate::statement::{Alter, Drop, Located, ObjectKind, ObjectName, Parameter, Statement};

/// Something with a name, of a kind within which names are unique.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    kind: ObjectKind,
    pub name: Name,
    /// What a trigger, a rule or a policy is on.
    on: Option<Name>,
    /// Of a function, when they are written: types as PostgreSQL calls them.
    arguments: Option<Vec<String>>,
}

/// Statements that go together: drops, what makes the same again, and what is said of it.
pub(super) struct Remade {
    /// The first DROP, and the last statement that makes one of them again.
    pub from: u32,
    pub last: u32,
    objects: Vec<Object>,
    /// The numbers of the statements, in the file's order, and their texts.
    members: Vec<(u32, String)>,
    has_views: bool,
    /// A materialized view that is read while it is filled anew.
    filled: Option<String>,
}

/// What stands before and after a change that takes views along.
pub(super) struct Around {
    pub before: Vec<String>,
    pub after: Vec<String>,
}

impl Object {
    /// Whether it is the same one; a function without its arguments is any of that name.
    fn is(&self, other: &Object) -> bool {
        let is_any = self.arguments.is_none() || other.arguments.is_none();
        self.kind == other.kind
            && self.name == other.name
            && self.on == other.on
            && (is_any || self.arguments == other.arguments)
    }
}

impl Remade {
    fn holds(&self, number: u32) -> bool {
        self.members.iter().any(|(member, _)| *member == number)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|(number, _)| *number)
    }

    fn texts(&self, is_wanted: impl Fn(u32) -> bool) -> Vec<String> {
        let wanted = self.members.iter().filter(|(number, _)| is_wanted(*number));
        wanted.map(|(_, text)| text.clone()).collect()
    }

    fn is_mentioned(&self, text: &str) -> bool {
        self.objects.iter().any(|object| mentions(text, &object.name.name))
    }
}

/// The group that the statement is part of.
pub(super) fn of<'a>(world: &'a World<'_>, number: u32) -> Option<&'a Remade> {
    groups(world).iter().find(|group| group.holds(number))
}

fn groups<'a>(world: &'a World<'_>) -> &'a [Remade] {
    world.groups.get_or_init(|| find(world))
}

fn find(world: &World<'_>) -> Vec<Remade> {
    let all = world.statements.iter();
    let makes: Vec<(u32, Object)> =
        all.filter_map(|located| Some((located.number, made(world, &located.statement)?))).collect();
    let mut groups: Vec<Remade> = Vec::new();
    for located in world.statements {
        let Statement::Drop(drop) = &located.statement else { continue };
        let objects = dropped(world, drop);
        let is_again = |(number, made): &&(u32, Object)| {
            *number > located.number && objects.iter().any(|object| object.is(made))
        };
        let Some((last, _)) = makes.iter().rfind(is_again) else { continue };
        let has_views = drop.targets.iter().any(|target| {
            let is_view = matches!(drop.kind, ObjectKind::View | ObjectKind::MaterializedView);
            is_view && world.relation(&target.name).is_some()
        });
        match groups.last_mut().filter(|group| located.number < group.last) {
            // One within another: their order matters.
            Some(group) => {
                group.last = group.last.max(*last);
                group.objects.extend(objects);
                group.has_views |= has_views;
            }
            None => groups.push(Remade {
                from: located.number,
                last: *last,
                objects,
                members: Vec::new(),
                has_views,
                filled: None,
            }),
        }
    }
    for group in &mut groups {
        gather(world, group);
    }
    groups
}

/// Finds what belongs to the group: between its ends, and for views also what is said of them afterwards.
fn gather(world: &World<'_>, group: &mut Remade) {
    for located in world.statements.iter().filter(|located| located.number >= group.from) {
        let is_after = located.number > group.last;
        if is_after && !group.has_views {
            break;
        }
        let is_member = match &located.statement {
            Statement::Drop(drop) => {
                dropped(world, drop).iter().any(|object| group.objects.iter().any(|known| known.is(object)))
            }
            Statement::Grant(grant) => {
                let of_all = |name: &Name| grant.schemas.iter().any(|schema| *schema == name.schema.as_str());
                group.is_mentioned(&located.text) || group.objects.iter().any(|object| of_all(&object.name))
            }
            Statement::Alter(alter) => is_of(world, group, alter),
            Statement::CreateView(create) if !create.is_materialized => group.is_mentioned(&located.text),
            Statement::Comment(_)
            | Statement::CreateTrigger(_)
            | Statement::CreateRule(_)
            | Statement::CreatePolicy(_)
            | Statement::CreateFunction(_) => group.is_mentioned(&located.text),
            other => made(world, other).is_some_and(|made| group.objects.iter().any(|known| known.is(&made))),
        };
        if is_member {
            let made = made(world, &located.statement);
            if let Statement::CreateView(create) = &located.statement
                && create.is_materialized
                && !create.with_no_data
                && world.filled(&create.name).is_some()
            {
                group.filled = Some(create.name.name.clone());
            }
            group.objects.extend(made);
            group.members.push((located.number, located_text(located)));
        } else if is_after && group.is_mentioned(&located.text) {
            // What comes after it may need it.
            break;
        }
    }
}

fn is_of(world: &World<'_>, group: &Remade, alter: &Alter) -> bool {
    let on = alter.on.as_ref().map(|on| world.name(on));
    group.objects.iter().any(|object| {
        let is_it = object.kind == class(alter.kind) && object.name.name == alter.name.name;
        is_it
            && (object.on == on)
            && (on.is_some() || object.name == name_of(world, object.kind, &alter.name))
    })
}

/// Emits the group with the last statement that makes one of its objects; the others wait for that.
pub(super) fn take(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    group: &Remade,
    no: Option<NoRoute>,
) {
    if located.number != group.last || !world.takes(group.from) {
        return;
    }
    let stage = if group.has_views { Stage::Switch } else { draft.latest() };
    let texts = group.texts(|_| true);
    let no = no.or_else(|| {
        let filled = group.filled.as_ref()?;
        Some(NoRoute::new(format!("nobody can read {filled} while it is made anew and filled")))
    });
    for object in &group.objects {
        world.makes_again(&object.name, stage != Stage::Expand);
    }
    match no {
        Some(no) => settle(draft, world, no, &located.statement, texts, Undo::Impossible),
        None if group.has_views => {
            draft.transaction(stage, "make views anew, in one moment", texts, Undo::Impossible);
        }
        None => {
            let title = format!("{} anew, in one moment", short(&located.text));
            draft.transaction(stage, title, texts, Undo::Impossible);
        }
    }
}

/// Why a statement between the ends of a group cannot have its place: it needs what comes later in the plan.
pub(super) fn comes_too_early(world: &World<'_>, located: &Located) -> Option<NoRoute> {
    let mut open = groups(world)
        .iter()
        .filter(|group| (group.from..group.last).contains(&located.number) && !world.is_taken(group.from));
    // Nothing needs a trigger, a rule or a policy.
    let is_needed = |object: &&Object| object.on.is_none() && mentions(&located.text, &object.name.name);
    let (group, object) = open.find_map(|group| Some((group, group.objects.iter().find(is_needed)?)))?;
    Some(NoRoute::at_all(format!(
        "it names {}, which the plan drops and makes again only with statement {}; write it after that one",
        object.name.name, group.last
    )))
}

/// The views that a change of a column takes along: dropped before it and made after it.
pub(super) fn around_change(
    draft: &mut Draft,
    world: &World<'_>,
    number: u32,
    column: &str,
    readers: &[&Name],
) -> Result<Option<Around>, NoRoute> {
    if readers.is_empty() {
        return Ok(None);
    }
    let group = groups(world).iter().find(|group| (group.from..group.last).contains(&number));
    let is_between = |name: &&&Name| {
        let of_it = |object: &Object| object.kind == ObjectKind::Table && object.name == ***name;
        let (before, after): (Vec<&Located>, Vec<&Located>) =
            world.statements.iter().partition(|located| located.number <= number);
        let last = before.iter().rev().find_map(|located| match &located.statement {
            Statement::Drop(drop) if dropped(world, drop).iter().any(of_it) => Some(true),
            other if made(world, other).as_ref().is_some_and(of_it) => Some(false),
            _ => None,
        });
        last == Some(true)
            && after.iter().any(|located| made(world, &located.statement).as_ref().is_some_and(of_it))
    };
    let open = readers.iter().find(|name| group.is_none() || !is_between(name));
    let (Some(group), None) = (group, open) else {
        let name = open.map_or("", |name| name.name.as_str());
        return Err(NoRoute::at_all(format!(
            "it fails: the view {name} reads {column}. Drop the view before and make it again after it, with its grants \
             and comments, in the same file; the plan does all that in the moment of the swap"
        )));
    };
    if !world.takes(group.from) {
        return Err(NoRoute::at_all(
            "the views that read it were already made anew around another column of the file; give each type change \
             under a view a file of its own",
        ));
    }
    let names: Vec<&str> = readers.iter().map(|name| name.name.as_str()).collect();
    draft.note(format!(
        "{} are dropped and made again in the transaction of the swap. What the file does not say again, such as grants \
         and comments, is gone, and the catalog does not hold what they were, so that the swap cannot be taken back.",
        names.join(", ")
    ));
    for object in &group.objects {
        world.makes_again(&object.name, true);
    }
    Ok(Some(Around {
        before: group.texts(|member| member < number),
        after: group.texts(|member| member > number),
    }))
}

/// A change of a column that costs nothing, but for the views that read it. False where none does.
pub(super) fn change_under_views(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    table: &Relation,
    column: &str,
) -> Result<bool, NoRoute> {
    let readers = readers(table, column);
    let Some(around) = around_change(draft, world, clause.number, column, &readers)? else {
        return Ok(false);
    };
    let statements = [around.before, vec![clause.statement()], around.after].concat();
    draft.transaction(Stage::Switch, clause.title(), statements, Undo::Impossible);
    Ok(true)
}

/// Views that read the column.
pub(super) fn readers<'a>(table: &'a Relation, column: &str) -> Vec<&'a Name> {
    let reads = |columns: &[String]| columns.is_empty() || columns.iter().any(|known| known == column);
    let views = table.dependents.iter().filter(|one| one.kind == "view" && reads(&one.columns));
    views.map(|view| &view.name).collect()
}

/// Whether the name is a word of the text.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    text.match_indices(&name).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Kinds whose names exclude each other.
fn class(kind: ObjectKind) -> ObjectKind {
    match kind {
        ObjectKind::ForeignTable | ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence => {
            ObjectKind::Table
        }
        ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => ObjectKind::Function,
        ObjectKind::Domain => ObjectKind::Type,
        other => other,
    }
}

fn name_of(world: &World<'_>, kind: ObjectKind, name: &ObjectName) -> Name {
    match kind {
        ObjectKind::Table => world.name(name),
        ObjectKind::Type => world.type_name(name),
        // No relation is meant that is called so.
        ObjectKind::Function | ObjectKind::Statistics => world.in_path(name),
        _ => Name::new("", &name.name),
    }
}

fn dropped(world: &World<'_>, drop: &Drop) -> Vec<Object> {
    // These stand by themselves, or have routes of their own.
    if matches!(
        drop.kind,
        ObjectKind::Index | ObjectKind::Database | ObjectKind::Tablespace | ObjectKind::Subscription
    ) {
        return Vec::new();
    }
    let kind = class(drop.kind);
    let object = |target: &crate::statement::DropTarget| Object {
        kind,
        name: name_of(world, kind, &target.name),
        on: target.table.as_ref().map(|table| world.name(table)),
        arguments: target.arguments.as_ref().map(|all| all.iter().map(|one| one.canonical.clone()).collect()),
    };
    drop.targets.iter().map(object).collect()
}

/// What the statement makes, where it has a name.
pub(super) fn made(world: &World<'_>, statement: &Statement) -> Option<Object> {
    let of = |kind: ObjectKind, name: &ObjectName| {
        let kind = class(kind);
        Object { kind, name: name_of(world, kind, name), on: None, arguments: None }
    };
    let plain =
        |kind: ObjectKind, name: &str| Object { kind, name: Name::new("", name), on: None, arguments: None };
    let on =
        |kind, name: &str, table: &ObjectName| Object { on: Some(world.name(table)), ..plain(kind, name) };
    Some(match statement {
        Statement::CreateTable(create) => of(ObjectKind::Table, &create.name),
        Statement::CreateTableAs(create) => of(ObjectKind::Table, &create.name),
        Statement::CreateView(create) => of(ObjectKind::View, &create.name),
        Statement::CreateSequence(create) => of(ObjectKind::Sequence, &create.name),
        Statement::CreateType(create) => of(ObjectKind::Type, &create.name),
        Statement::CreateDomain(create) => of(ObjectKind::Domain, &create.name),
        Statement::CreateFunction(create) => {
            let is_in = |parameter: &&Parameter| parameter.mode != "out";
            let types = create.parameters.iter().filter(is_in).map(|one| one.type_name.canonical.clone());
            Object { arguments: Some(types.collect()), ..of(ObjectKind::Function, &create.name) }
        }
        Statement::CreateTrigger(create) => on(ObjectKind::Trigger, &create.name.name, &create.table),
        Statement::CreateRule(create) => on(ObjectKind::Rule, &create.name.name, &create.table),
        Statement::CreatePolicy(create) => on(ObjectKind::Policy, &create.name.name, &create.table),
        Statement::CreateEventTrigger(create) => plain(ObjectKind::EventTrigger, &create.name.name),
        Statement::CreateStatistics(create) => of(ObjectKind::Statistics, create.name.as_ref()?),
        Statement::CreatePublication(create) => plain(ObjectKind::Publication, &create.name.name),
        Statement::CreateExtension(create) => plain(ObjectKind::Extension, &create.name.name),
        Statement::CreateSchema(create) => plain(ObjectKind::Schema, &create.name.name),
        Statement::CreateOther(create) => of(create.kind, create.name.as_ref()?),
        _ => return None,
    })
}
