//! Which relations names suggest.

use posthaste_base::catalog::{Catalog, Column, Constraint, Name, Relation};

use super::*;

fn table(name: &str, key: &[&str], columns: &[(&str, &str)]) -> Relation {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    let columns = columns.iter().map(|(name, type_name)| Column {
        name: (*name).into(),
        type_name: (*type_name).into(),
        ..Column::default()
    });
    let key = Constraint {
        kind: ConstraintKind::PrimaryKey,
        columns: key.iter().map(|column| (*column).into()).collect(),
        ..Constraint::default()
    };
    Relation {
        name: Name::new(schema, name),
        columns: columns.collect(),
        constraints: vec![key],
        ..Relation::default()
    }
}

fn check(relations: Vec<Relation>, expected: &[&str]) {
    let catalog = Catalog { relations, ..Catalog::default() };
    let found = candidates(&Tables::of(&catalog));
    let mut shown: Vec<String> = found
        .iter()
        .map(|of_column| {
            let Candidate { link, score } = &of_column[0];
            let by = if link.by_text { " by text" } else { "" };
            let (columns, keys) = (link.columns.join(","), link.parent_columns.join(","));
            format!("{}.{columns} -> {}.{keys} {score}{by}", link.child.name, link.parent.name)
        })
        .collect();
    shown.sort();
    assert_eq!(shown, expected);
}

const INT: &str = "integer";

#[test]
fn a_column_points_to_the_table_that_it_is_called_after() {
    check(
        vec![
            table("customers", &["id"], &[("id", INT)]),
            table("orders", &["id"], &[("id", INT), ("customer_id", "bigint"), ("note_id", INT)]),
            table("Invoices", &["InvoiceId"], &[("InvoiceId", INT), ("CustomerID", "text")]),
            table("lines", &["id"], &[("id", INT), ("invoiceId", INT), ("billing_customer_id", INT)]),
        ],
        &[
            "Invoices.CustomerID -> customers.id 100 by text",
            "lines.billing_customer_id -> customers.id 80",
            "lines.invoiceId -> Invoices.InvoiceId 100",
            "orders.customer_id -> customers.id 100",
        ],
    );
}

#[test]
fn a_row_may_point_to_one_of_its_own_table() {
    check(
        vec![table("categories", &["id"], &[("id", INT), ("parent_id", INT), ("category_id", INT)])],
        &["categories.parent_id -> categories.id 90"],
    );
}

#[test]
fn a_key_of_several_columns_is_found_whole() {
    check(
        vec![
            table("sales.orders", &["region", "no"], &[("region", "text"), ("no", INT)]),
            table(
                "logistics.shipments",
                &["id"],
                &[("id", INT), ("order_region", "text"), ("order_no", INT)],
            ),
        ],
        &["shipments.order_region,order_no -> orders.region,no 95"],
    );
}

#[test]
fn the_table_in_the_same_schema_comes_first() {
    let users = |schema: &str| table(&format!("{schema}.users"), &["id"], &[("id", INT)]);
    let catalog = Catalog {
        relations: vec![users("a"), users("b"), table("b.posts", &["id"], &[("id", INT), ("user_id", INT)])],
        ..Catalog::default()
    };
    let found = candidates(&Tables::of(&catalog));
    assert_eq!(found[0][0].link.parent, Name::new("b", "users"));
    assert_eq!(found[0].len(), 2);
}
