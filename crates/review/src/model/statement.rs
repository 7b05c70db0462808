//! From each kind of statement to what it does.
//!
//! Not for: the doing; the other files of the model hold it.

use super::builder::Builder;
use super::forms::objects;
use super::{alter, alter_object, create, drop, index, query, upkeep};
use crate::statement::{Located, Statement};

pub(super) fn apply(builder: &mut Builder<'_>, statement: &Statement) {
    match statement {
        Statement::CreateTable(create) => create::table(builder, create),
        Statement::CreateTableAs(create) => create::table_as(builder, create),
        Statement::CreateIndex(create) => index::create(builder, create),
        Statement::CreateView(create) => create::view(builder, create),
        Statement::CreateSequence(create) => create::sequence(builder, create),
        Statement::CreateFunction(create) => create::function(builder, create),
        Statement::CreateTrigger(create) => create::trigger(builder, create),
        Statement::CreateRule(create) => create::rule(builder, create),
        Statement::CreatePolicy(create) => create::policy(builder, create),
        Statement::CreateStatistics(create) => create::statistics(builder, create),
        Statement::CreatePublication(create) => create::publication(builder, create),
        Statement::CreateSubscription(_) => builder.block(&objects::OUTSIDE),
        Statement::CreateOther(create) => create::other(builder, create),
        Statement::CreateSchema(create) => {
            for element in &create.elements {
                apply(builder, &element.statement);
            }
        }
        // A script that only the server has.
        Statement::CreateExtension(_) => {}
        Statement::CreateType(_) | Statement::CreateDomain(_) | Statement::CreateEventTrigger(_) => {}
        Statement::Alter(alter) => alter::apply(builder, alter),
        Statement::MoveAll(_) => builder.depends("which tables are in that tablespace"),
        Statement::Drop(drop) => drop::apply(builder, drop),
        Statement::Comment(comment) => alter_object::comment(builder, comment),
        Statement::Grant(grant) => alter_object::grant(builder, grant),
        Statement::Reindex(reindex) => index::reindex(builder, reindex),
        Statement::Cluster(cluster) => upkeep::cluster(builder, cluster),
        Statement::Vacuum(vacuum) => upkeep::vacuum(builder, vacuum),
        Statement::Analyze(analyze) => upkeep::analyze(builder, analyze),
        Statement::Truncate(truncate) => upkeep::truncate(builder, truncate),
        Statement::Refresh(refresh) => upkeep::refresh(builder, refresh),
        Statement::Lock(lock) => upkeep::lock(builder, lock),
        Statement::Query(query) => {
            query::run(builder, query);
            run_all(builder, &query.runs);
        }
        Statement::Copy(copy) => query::copy(builder, copy),
        Statement::Do(body) => {
            if !body.body.is_read {
                builder.depends("what the body does, which is not read");
            }
            run_all(builder, &body.body.statements);
        }
        Statement::Call(call) => match &call.runs {
            Some(runs) => run_all(builder, runs),
            None => builder.depends(format!("what procedure `{}` does", call.procedure)),
        },
        Statement::Prepare(_) => {}
        Statement::Execute(execute) => match &execute.runs {
            Some(runs) => run_all(builder, runs),
            None => builder.depends(format!("what was prepared as `{}`", execute.name)),
        },
        Statement::Explain(explain) => query::explain(builder, explain),
        Statement::Unknown { reason } => builder.depends(reason.clone()),
        Statement::Broken => builder.depends("what the statement says, which was not understood"),
        Statement::Opaque { keyword } => {
            if matches!(keyword.to_uppercase().as_str(), "DISCARD ALL" | "DISCARD") {
                builder.block(&objects::OUTSIDE);
            }
        }
        Statement::Transaction(_) | Statement::Set(_) | Statement::Reset(_) | Statement::Meta(_) => {}
    }
}

/// What a body runs, in one transaction: each of its statements, also those that only may run.
fn run_all(builder: &mut Builder<'_>, statements: &[Located]) {
    for located in statements {
        if located.is_conditional {
            builder.depends("which branches of the body run");
        }
        // The catalog is that of before: what an earlier statement of the body made is not in it.
        let effects = super::effects(&located.statement, builder.catalog, builder.version);
        if !effects.may_be_in_transaction {
            builder.refuse("the body runs what cannot run in a transaction");
        }
        builder.absorb(effects);
    }
    // DO itself may stand in a transaction.
}
