//! An index that another one serves as well.

use posthaste_base::catalog::{Index, IndexKey};
use posthaste_report::Severity;

use super::{Check, Findings, Rule, page};
use crate::context::{Context, part_object, remedy, shown};
use crate::statement::{CreateIndex, Statement};

pub(super) const RULE: Rule = Rule {
    code: "redundant-index",
    title: "An index is built that another one serves as well, and every write pays for both",
    page: page!("redundant-index"),
    check: Check::Statement(check),
};

fn check(ctx: &Context<'_>, found: &mut Findings) {
    let Statement::CreateIndex(create) = ctx.statement() else { return };
    let table = ctx.name(&create.table);
    let Some(relation) = ctx.relation(&table) else { return };
    let is_btree = create.method.as_ref().is_none_or(|method| method.as_str() == "btree");
    let is_plain = create.predicate.is_none() && create.include.is_empty() && !create.is_unique && is_btree;
    if !is_plain {
        return;
    }
    let Some(wider) = relation.indexes.iter().find(|index| serves(index, create)) else { return };
    let name = create.name.as_ref().map_or("the index", |name| name.as_str());
    let message = format!(
        "{} begins with the same columns: it serves what {name} would serve, and each write to {} pays for both",
        wider.name.name,
        shown(&table)
    );
    let mut finding = ctx.finding(RULE.code, Severity::Low, message);
    finding.object = part_object("index", &table, name);
    finding.remedy =
        remedy(format!("leave it out; or drop {} if only the shorter one is needed", wider.name.name));
    found.push(finding);
}

fn serves(index: &Index, create: &CreateIndex) -> bool {
    let named = create.name.as_ref().is_some_and(|name| name.as_str() == index.name.name);
    let same = |(key, wanted): (&IndexKey, &crate::statement::IndexKey)| {
        wanted.opclass.is_none()
            && wanted.collation.is_none()
            && key.is_descending == wanted.is_descending
            && wanted.column.as_ref().is_some_and(|column| key.column.as_deref() == Some(column.as_str()))
    };
    !named
        && index.is_valid
        && index.predicate.is_none()
        && (index.method == "btree" || index.method.is_empty())
        && index.keys.len() >= create.keys.len()
        && index.keys.iter().zip(&create.keys).all(same)
}
