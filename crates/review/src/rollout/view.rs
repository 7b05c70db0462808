//! Views that a file drops and makes again: nobody misses them, because both happen in one transaction.
//!
//! Between the two a column may change under them; its swap takes them along. Not for: materialized views, which are
//! filled while they are made.

use posthaste_base::catalog::Name;

use super::draft::{Draft, Stage, Undo};
use super::world::World;
use super::{NoRoute, located_text};
use crate::statement::{Comment, CreateView, Drop, Grant, Located, ObjectKind, ObjectName, Statement};

/// The views of a file that go and come back, in its order.
#[derive(Default)]
pub(super) struct Rebuilt {
    names: Vec<Name>,
    pub drops: Vec<String>,
    pub creates: Vec<String>,
    /// The number of the last statement that makes one of them.
    last: u32,
}

impl Rebuilt {
    pub(super) fn of(world: &World<'_>) -> Self {
        let mut rebuilt = Self::default();
        for located in world.statements {
            if let Statement::Drop(drop) = &located.statement
                && is_rebuilt(world, located.number, drop)
            {
                let names = drop.targets.iter().map(|target| world.name(&target.name));
                rebuilt.names.extend(names);
                rebuilt.drops.push(located_text(located));
            }
        }
        for located in world.statements {
            if let Statement::CreateView(create) = &located.statement
                && rebuilt.has(world, &create.name)
            {
                rebuilt.creates.push(located_text(located));
                rebuilt.last = located.number;
            }
        }
        rebuilt
    }

    pub(super) fn has(&self, world: &World<'_>, name: &ObjectName) -> bool {
        self.names.contains(&world.name(name))
    }

    pub(super) fn has_name(&self, name: &Name) -> bool {
        self.names.contains(name)
    }
}

/// Whether the file makes each of the dropped views again.
fn is_rebuilt(world: &World<'_>, number: u32, drop: &Drop) -> bool {
    let comes_back = |name: &ObjectName| {
        world.statements.iter().any(|located| match &located.statement {
            Statement::CreateView(create) => {
                located.number > number
                    && !create.is_materialized
                    && world.name(&create.name) == world.name(name)
            }
            _ => false,
        })
    };
    drop.kind == ObjectKind::View
        && !drop.is_cascade
        && drop
            .targets
            .iter()
            .all(|target| world.relation(&target.name).is_some() && comes_back(&target.name))
}

/// DROP VIEW of what comes back waits for that.
pub(super) fn waits(world: &World<'_>, located: &Located, drop: &Drop) -> bool {
    is_rebuilt(world, located.number, drop)
}

/// CREATE VIEW of what the file dropped: with the last of them, all go and come in one transaction, unless a swap did
/// it. False for a view that is new.
pub(super) fn create(draft: &mut Draft, world: &World<'_>, located: &Located, create: &CreateView) -> bool {
    let rebuilt = Rebuilt::of(world);
    if !rebuilt.has(world, &create.name) {
        return false;
    }
    if located.number == rebuilt.last && world.take_views() {
        let statements = [rebuilt.drops, rebuilt.creates].concat();
        draft.transaction(Stage::Switch, "make views anew, in one moment", statements, Undo::Impossible);
    }
    true
}

/// What is said of a view that comes back is said after that.
pub(super) fn is_said_of_rebuilt(world: &World<'_>, statement: &Statement) -> bool {
    let rebuilt = Rebuilt::of(world);
    match statement {
        Statement::Grant(grant) => {
            let Grant { objects, .. } = &**grant;
            objects.iter().any(|name| rebuilt.has(world, name))
        }
        Statement::Comment(comment) => {
            let Comment { name, on, .. } = &**comment;
            rebuilt.has(world, name) || on.as_ref().is_some_and(|on| rebuilt.has(world, on))
        }
        _ => false,
    }
}

/// The views that a swap takes along: dropped before it and made after it.
pub(super) fn around_swap(
    draft: &mut Draft,
    world: &World<'_>,
    column: &str,
    readers: &[&Name],
) -> Result<Option<Rebuilt>, NoRoute> {
    if readers.is_empty() {
        return Ok(None);
    }
    let rebuilt = Rebuilt::of(world);
    if let Some(other) = readers.iter().find(|name| !rebuilt.has_name(name)) {
        return Err(NoRoute::at_all(format!(
            "it fails: the view {} reads {column}. Drop the view before it and make it again after it, with its grants \
             and comments, in the same file; the plan does all that in the moment of the swap",
            other.name
        )));
    }
    if !world.take_views() {
        return Err(NoRoute::new(
            "the views that read it were already made anew around another column of the file; give each type change \
             under a view a file of its own",
        ));
    }
    let names: Vec<&str> = rebuilt.names.iter().map(|name| name.name.as_str()).collect();
    draft.note(format!(
        "{} are dropped and made again in the transaction of the swap. What the file does not say again, such as grants \
         and comments, is gone, and the catalog does not hold what they were, so that the swap cannot be taken back.",
        names.join(", ")
    ));
    Ok(Some(rebuilt))
}
