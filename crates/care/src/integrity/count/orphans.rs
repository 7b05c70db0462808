//! Rows that point to nothing, and whether columns point to a table at all.

use posthaste_pg::Error;

use super::super::check::{Link, OrphanCheck, RowCheck, columns, equal, none_is_null};
use super::super::tables::{Table, from};
use super::{Counted, Counter};
use crate::template::fill;

/// Different values that are looked up to see whether a relation is there.
const VALUES_MAX: u32 = 20_000;
/// Tables of more rows are sampled for them.
const ROWS_ALL: u64 = 200_000;

/// How many of a column's different values are keys of the other table.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Contained {
    pub values: i64,
    pub found: i64,
}

impl Contained {
    pub(in super::super) fn share(self) -> f64 {
        if self.values == 0 { 0.0 } else { self.found as f64 / self.values as f64 }
    }
}

impl Counter<'_> {
    pub(in super::super) async fn contained(&self, link: &Link) -> Result<Contained, Error> {
        let sample = match self.tables.find(&link.child) {
            Some(table) => self.sample_of(table),
            None => String::new(),
        };
        let sql = fill(
            include_str!("../../../sql/integrity/contained.sql"),
            &[
                ("columns", &columns("t", &link.columns).join(", ")),
                ("child", &self.table(&link.child)),
                ("sample", &sample),
                ("is_set", &none_is_null("t", &link.columns)),
                ("limit", &VALUES_MAX.to_string()),
                ("parent", &self.table(&link.parent)),
                ("match", &equal("p", &link.parent_columns, "t", &link.columns, link.by_text)),
            ],
        );
        let row = self.visit.query_one(&sql, &[]).await?;
        Ok(Contained { values: row.try_get("picked")?, found: row.try_get("found")? })
    }

    fn sample_of(&self, table: &Table<'_>) -> String {
        let rows: u64 = table.leaves.iter().map(|leaf| leaf.size.rows.unwrap_or(leaf.size.bytes / 100)).sum();
        if rows <= ROWS_ALL {
            return String::new();
        }
        let percent = 100.0 * ROWS_ALL as f64 / rows as f64;
        format!("tablesample system ({percent:.4}) repeatable (1)")
    }

    fn table(&self, name: &posthaste_base::catalog::Name) -> String {
        self.tables.catalog.relation(Some(&name.schema), &name.name).map_or_else(|| name.quoted(), from)
    }

    pub(in super::super) async fn count_orphans(&mut self, check: &OrphanCheck) -> Option<Counted> {
        let child = self.tables.find(&check.link.child)?;
        match self.try_orphans(child, check).await {
            Ok(counted) => Some(counted),
            Err(error) => {
                let link = &check.link;
                let what = format!(
                    "rows of `{}.{}` without one in `{}.{}` ({})",
                    link.child.schema,
                    link.child.name,
                    link.parent.schema,
                    link.parent.name,
                    link.columns.join(", ")
                );
                self.skip(what, &error);
                None
            }
        }
    }

    async fn try_orphans(&self, child: &Table<'_>, check: &OrphanCheck) -> Result<Counted, Error> {
        let link = &check.link;
        let parent = self.table(&link.parent);
        let matched = equal("p", &link.parent_columns, "t", &link.columns, link.by_text);
        let is_set = none_is_null("t", &link.columns);
        let sample = self.sample();
        let mut counted = Counted::default();
        let mut seen = None;
        for leaf in &child.leaves {
            self.in_pieces(leaf, "references", async |piece| {
                let sql = fill(
                    include_str!("../../../sql/integrity/orphans.sql"),
                    &[
                        ("child", &from(leaf)),
                        ("sample", &sample),
                        ("piece", piece),
                        ("is_set", &is_set),
                        ("parent", &parent),
                        ("match", &matched),
                    ],
                );
                let orphans: i64 = self.visit.query_one(&sql, &[]).await?.try_get("orphans")?;
                counted.rows += orphans;
                if orphans > 0 && seen.is_none() {
                    seen = Some((from(leaf), piece.to_owned()));
                }
                Ok(())
            })
            .await?;
        }
        if let Some((leaf, piece)) = seen {
            let sql = fill(
                include_str!("../../../sql/integrity/sample_orphans.sql"),
                &[
                    ("shown", &super::shown(child, &link.columns)),
                    ("child", &leaf),
                    ("piece", &piece),
                    ("is_set", &is_set),
                    ("parent", &parent),
                    ("match", &matched),
                ],
            );
            counted.samples = self.texts(&sql).await?;
        }
        self.count_nulls(child, check, &mut counted).await?;
        Ok(counted)
    }

    /// How many rows there are, and how many point nowhere by a NULL: these are no orphans, but under MATCH FULL a
    /// key may not be NULL in a part.
    async fn count_nulls(
        &self,
        child: &Table<'_>,
        check: &OrphanCheck,
        counted: &mut Counted,
    ) -> Result<(), Error> {
        if counted.rows == 0 && !check.match_full {
            return Ok(());
        }
        let names = columns("t", &check.link.columns).join(", ");
        let partly = format!("num_nulls({names}) > 0 and num_nonnulls({names}) > 0");
        let nulls = RowCheck {
            about: check.about.clone(),
            condition: format!("num_nulls({names}) > 0"),
            belief: check.belief,
            beside: vec![("partly", partly)],
        };
        let counts: String = std::iter::once(&nulls.condition)
            .chain(nulls.beside.iter().map(|(_, condition)| condition))
            .map(|condition| format!(",\n  count(*) filter (where {condition})"))
            .collect();
        let (mut of, mut any, mut part) = (0, 0, 0);
        for leaf in &child.leaves {
            self.in_pieces(leaf, "references", async |piece| {
                let sql = fill(
                    include_str!("../../../sql/integrity/rows.sql"),
                    &[
                        ("counts", &counts),
                        ("table", &from(leaf)),
                        ("sample", &self.sample()),
                        ("piece", piece),
                    ],
                );
                let found: Vec<i64> = self.visit.query_one(&sql, &[]).await?.try_get("counts")?;
                if let [rows, nulls, partly] = found.as_slice() {
                    (of, any, part) = (of + rows, any + nulls, part + partly);
                }
                Ok(())
            })
            .await?;
        }
        counted.of = of;
        if check.match_full {
            counted.rows += part;
            counted.more.push(("partly_null", part));
        }
        counted.more.push(("nulls", any));
        Ok(())
    }
}
