//! Rules of the user's own.

use posthaste_care::integrity::{self, Kind, Options, Rules};

use super::score::check;
use super::techshop::techshop;

async fn counts(text: &str) -> Vec<(String, i64)> {
    let db = techshop().await;
    let rules = vec![Rules::parse("rules.toml", text).expect("rules")];
    let options = Options { kinds: vec![Kind::Rules], rules, ..Options::default() };
    let outcome = check(&db, &options).await;
    assert_eq!(outcome.report.skipped, []);
    let mut found: Vec<(String, i64)> = outcome
        .report
        .findings
        .iter()
        .map(|finding| (finding.object.name.clone().unwrap_or_default(), finding.counts["rows"]))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn each_kind_of_rule_is_counted() {
    let found = counts(
        r#"
[[rule]]
name = "a condition"
table = "products"
where = "price > 400"

[[rule]]
name = "a key"
table = "public.customers"
unique = ["first_name", "last_name"]

[[rule]]
name = "a query"
sql = "select id from orders where id <= 3"

[[rule]]
name = "a reference"
table = "order_items"
columns = ["product_id"]
references = "customers(id)"

[[rule]]
name = "one that holds"
table = "products"
where = "price < 0"
"#,
    )
    .await;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a condition", "a key", "a query", "a reference"]);
    assert_eq!(found[2].1, 3);
    assert_eq!(found[1].1, 500, "every customer shares a name with another one");
}

#[tokio::test]
async fn mistake_in_a_rule_s_sql_is_named_by_its_place() {
    let db = techshop().await;
    for (text, place) in [
        (
            "[[rule]]\nname = \"x\"\ntable = \"products\"\nwhere = \"price > 1 and prize < 2\"\n",
            "rules.toml:4:24",
        ),
        ("[[rule]]\nname = \"x\"\nsql = '''\nselect id\nfrom nowhere\n'''\n", "rules.toml:5:6"),
        ("[[rule]]\nname = \"x\"\ntable = \"produkts\"\nwhere = \"true\"\n", "rules.toml:3:9"),
        ("[[rule]]\nname = \"x\"\ntable = \"products\"\nunique = [\"lower(nam)\"]\n", "rules.toml:4:18"),
    ] {
        let rules = vec![Rules::parse("rules.toml", text).expect("well-formed rules")];
        let options = Options { rules, ..Options::default() };
        let error = integrity::check(&db.target, &options, &|_| ()).await.expect_err("a mistake");
        assert_eq!(error.field_name(), Some(place), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_known_to_be_well_is_not_reported() {
    let db = techshop().await;
    super::score::run(&db, "update products set stock_quantity = -1 where id in (5, 6)").await;
    let ignore =
        "[[ignore]]\ncode = \"negative-value\"\ntable = \"public.products\"\nreason = \"sold ahead\"\n";
    let rules = vec![Rules::parse("rules.toml", ignore).expect("rules")];
    let options = Options { rules, ..Options::default() };
    assert_eq!(check(&db, &options).await.report.findings, []);
    assert_eq!(check(&db, &Options::default()).await.report.findings.len(), 1);
}
