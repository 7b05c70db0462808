//! How a table is gone over: the condition that a batch stands for, and where the next one ends.
//!
//! By the columns of a key, as one row comparison that its index serves; or by pages, for a table without one.
//! Values travel as texts that are cast to the column's type, so that any type with an order will do. Not for:
//! running anything.

use posthaste_base::catalog::Name;
use posthaste_base::quote::identifier;
use posthaste_report::BATCH;

use crate::sql;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyColumn {
    pub name: String,
    /// As a cast writes it.
    pub type_name: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    Key(Vec<KeyColumn>),
    Pages {
        /// From version 14 on the server reads a range of pages by itself.
        has_ranges: bool,
        block_bytes: i64,
    },
}

/// A table with what its statements call it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ground {
    pub table: Name,
    pub alias: String,
    pub order: Order,
}

/// Which ends of a range there are. Their values are the statement's first parameters, those of the low end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub low: bool,
    pub high: bool,
}

impl Ground {
    /// The statement with the condition in place of `{batch}`.
    pub(crate) fn statement(&self, template: &str, ends: Ends) -> String {
        template.replace(BATCH, &format!("({})", self.within(ends)))
    }

    /// Finds the last key of the next batch, within these ends; the parameter after theirs is the limit.
    pub(crate) fn boundary(&self, ends: Ends) -> Option<String> {
        let Order::Key(columns) = &self.order else { return None };
        let alias = identifier(&self.alias);
        let each = |write: &dyn Fn(&str) -> String| {
            columns.iter().map(|column| write(&identifier(&column.name))).collect::<Vec<_>>().join(", ")
        };
        let limit = 1 + columns.len() * (usize::from(ends.low) + usize::from(ends.high));
        let parts = [
            ("{texts}", each(&|name| format!("part.{name}::text"))),
            ("{names}", each(&str::to_owned)),
            ("{keys}", each(&|name| format!("{alias}.{name}"))),
            ("{descending}", each(&|name| format!("part.{name} desc"))),
            ("{within}", self.within(ends)),
            ("{table}", self.table.quoted()),
            ("{alias}", alias.clone()),
            ("{limit}", format!("${limit}")),
        ];
        Some(substituted(&sql::without_header(sql::table::BOUNDARY), &parts))
    }

    fn within(&self, ends: Ends) -> String {
        match &self.order {
            Order::Key(columns) => self.within_key(columns, ends),
            Order::Pages { has_ranges, block_bytes } => self.within_pages(*has_ranges, *block_bytes),
        }
    }

    fn within_key(&self, columns: &[KeyColumn], ends: Ends) -> String {
        let alias = identifier(&self.alias);
        let row = |cells: Vec<String>| match cells.as_slice() {
            [cell] => cell.clone(),
            cells => format!("({})", cells.join(", ")),
        };
        let key = row(columns.iter().map(|column| format!("{alias}.{}", identifier(&column.name))).collect());
        let values = |first: usize| {
            let cells = columns.iter().enumerate();
            row(cells.map(|(at, column)| format!("${}::text::{}", first + at, column.type_name)).collect())
        };
        let high_from = 1 + if ends.low { columns.len() } else { 0 };
        match (ends.low, ends.high) {
            (true, true) => format!("{key} > {} and {key} <= {}", values(1), values(high_from)),
            (true, false) => format!("{key} > {}", values(1)),
            (false, true) => format!("{key} <= {}", values(1)),
            (false, false) => "true".to_owned(),
        }
    }

    /// From the page of the first parameter up to, and without, that of the second.
    fn within_pages(&self, has_ranges: bool, block_bytes: i64) -> String {
        let alias = identifier(&self.alias);
        if has_ranges {
            return format!(
                "{alias}.ctid >= ('(' || $1::text || ',0)')::tid and {alias}.ctid < ('(' || $2::text || ',0)')::tid"
            );
        }
        // No page holds more rows than this many of the smallest ones.
        let rows_max = (block_bytes - 24) / 28;
        format!(
            "{alias}.ctid = any (array(select ('(' || page || ',' || item || ')')::tid \
             from generate_series($1::text::int8, $2::text::int8 - 1) as page, generate_series(1, {rows_max}) as item))"
        )
    }
}

/// Replaces each placeholder where the template has it, and never inside of what was put in.
fn substituted(template: &str, parts: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while !rest.is_empty() {
        match parts.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                text.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                text.push_str(&rest[..length]);
                rest = &rest[length..];
            }
        }
    }
    text
}

/// `schema.name`, of which each may stand in quotes.
pub(crate) fn parse_name(text: &str) -> Option<Name> {
    let (schema, rest) = part(text)?;
    let (name, rest) = part(rest.strip_prefix('.')?)?;
    rest.is_empty().then(|| Name::new(schema, name))
}

fn part(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let end = rest.find('"')?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => return (!name.is_empty()).then_some((name, rest)),
            }
        }
    }
    let end = text.find('.').unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(columns: &[(&str, &str)]) -> Ground {
        let column = |(name, type_name): &(&str, &str)| KeyColumn {
            name: (*name).into(),
            type_name: (*type_name).into(),
        };
        Ground {
            table: Name::new("public", "Order"),
            alias: "o".into(),
            order: Order::Key(columns.iter().map(column).collect()),
        }
    }

    const BOTH: Ends = Ends { low: true, high: true };
    const LOW: Ends = Ends { low: true, high: false };
    const HIGH: Ends = Ends { low: false, high: true };
    const NONE: Ends = Ends { low: false, high: false };

    #[test]
    fn a_single_key_is_compared_by_itself() {
        let ground = ground(&[("id", "bigint")]);
        for (ends, expected) in [
            (BOTH, "o.id > $1::text::bigint and o.id <= $2::text::bigint"),
            (LOW, "o.id > $1::text::bigint"),
            (HIGH, "o.id <= $1::text::bigint"),
            (NONE, "true"),
        ] {
            let template = "update o set a = {batch} where {batch}";
            let expected = format!("update o set a = ({expected}) where ({expected})");
            assert_eq!(ground.statement(template, ends), expected);
        }
    }

    #[test]
    fn a_composite_key_is_one_row_comparison() {
        let ground = ground(&[("Region", "text"), ("id", "uuid")]);
        let expected = "(o.\"Region\", o.id) > ($1::text::text, $2::text::uuid) \
                        and (o.\"Region\", o.id) <= ($3::text::text, $4::text::uuid)";
        assert_eq!(ground.statement("{batch}", BOTH), format!("({expected})"));
        let boundary = ground.boundary(LOW).expect("a key has boundaries");
        assert!(boundary.contains("part.\"Region\"::text, part.id::text, part.\""), "{boundary}");
        assert!(boundary.contains("from public.\"Order\" as o where (o.\"Region\", o.id) > "), "{boundary}");
        assert!(boundary.contains("order by part.\"Region\" desc, part.id desc"), "{boundary}");
        assert!(boundary.contains("limit $3::text::int8"), "{boundary}");
    }

    #[test]
    fn a_name_like_a_placeholder_stays_a_name() {
        let ground = ground(&[("{table}", "int"), ("{limit}", "int")]);
        let boundary = ground.boundary(NONE).expect("a key has boundaries");
        assert!(boundary.contains("part.\"{table}\"::text, part.\"{limit}\"::text"), "{boundary}");
        assert!(boundary.contains("limit $1::text::int8"), "{boundary}");
    }

    #[test]
    fn names_are_read_with_and_without_quotes() {
        for (text, expected) in [
            ("public.a", Some(("public", "a"))),
            ("\"My.Schema\".\"a\"\"b\"", Some(("My.Schema", "a\"b"))),
            ("public.\"A\"", Some(("public", "A"))),
            ("a", None),
            ("a.b.c", None),
            (".a", None),
            ("a.\"b", None),
            ("\"\".b", None),
        ] {
            let expected = expected.map(|(schema, name)| Name::new(schema, name));
            assert_eq!(parse_name(text), expected, "{text}");
        }
    }

    /// Both forms of a range of pages, the one that older servers need too, give the same rows.
    #[tokio::test]
    async fn pages_are_the_same_with_and_without_ranges() {
        let db = posthaste_testkit::db::TestDb::empty().await;
        let session = db.pool.get().await.expect("a session");
        let make = "create table t (id int); insert into t select generate_series(1, 5000); delete from t where id % 7 = 0";
        session.batch_execute(make).await.expect("a table");
        for (low, high) in [("0", "1"), ("3", "9"), ("20", "40")] {
            let mut found = Vec::new();
            for has_ranges in [true, false] {
                let order = Order::Pages { has_ranges, block_bytes: 8192 };
                let ground = Ground { table: Name::new("public", "t"), alias: "t".into(), order };
                let text = ground.statement("select count(*), sum(id) from t where {batch}", BOTH);
                let row = session.query_one(&text, &[&low, &high]).await.expect(&text);
                found.push((row.get::<_, i64>(0), row.get::<_, Option<i64>>(1)));
            }
            assert_eq!(found[0], found[1], "{low} to {high}");
            assert!(low == "20" || found[0].0 > 0, "{found:?}");
        }
    }
}
