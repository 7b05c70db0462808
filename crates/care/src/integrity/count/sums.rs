//! Totals against the sums of their items.

use posthaste_pg::Error;

use super::super::check::{TotalCheck, columns, equal};
use super::super::tables::Table;
use super::{Counted, Counter, PARTS_MAX, is_timeout};
use crate::template::fill;

/// A sum is believed when it agrees with so many of the totals that have items.
const AGREE_MIN: f64 = 0.7;
const JUDGED_MIN: i64 = 3;
/// Whether a sum is the total is seen from about so many items.
const SEEN_ROWS: u64 = 100_000;

impl Counter<'_> {
    /// The one of several sums that agrees with most totals, if it agrees with nearly all.
    pub(in super::super) async fn agreed(&mut self, candidates: &[TotalCheck]) -> Option<TotalCheck> {
        let first = candidates.first()?;
        match self.try_agreed(first, candidates).await {
            Ok(found) => found,
            Err(error) => {
                let parent = &first.link.parent;
                self.skip(format!("total `{}.{}` (`{}`)", parent.schema, parent.name, first.total), &error);
                None
            }
        }
    }

    async fn try_agreed(
        &self,
        first: &TotalCheck,
        candidates: &[TotalCheck],
    ) -> Result<Option<TotalCheck>, Error> {
        let (Some(child), Some(parent)) =
            (self.tables.find(&first.link.child), self.tables.find(&first.link.parent))
        else {
            return Ok(None);
        };
        let sums = candidates
            .iter()
            .enumerate()
            .map(|(place, check)| format!("sum({}) as items{place}", check.item));
        let sums = sums.collect::<Vec<_>>().join(", ");
        let agreed = candidates.iter().enumerate().map(|(place, check)| {
            format!(
                ",\n  count(*) filter (where {} = {})",
                check.total(),
                check.expected(&format!("items{place}"))
            )
        });
        let link = &first.link;
        // One part of many is enough to see it, when there are many rows.
        let rows: u64 = child.leaves.iter().map(|leaf| leaf.size.rows.unwrap_or(leaf.size.bytes / 100)).sum();
        let parts = match first.can_be_parted {
            true => self.parts(child, true).max((rows / SEEN_ROWS).min(PARTS_MAX)).max(1),
            false => 1,
        };
        let sql = fill(
            include_str!("../../../sql/integrity/agreement.sql"),
            &[
                ("keys", &columns("c", &link.columns).join(", ")),
                ("sums", &sums),
                ("child", &child.from()),
                ("child_pass", &self.part(&columns("c", &link.columns), 0, parts, first.can_be_parted)),
                ("judged", &format!("{} is not null", first.total())),
                ("agreed", &agreed.collect::<String>()),
                ("parent", &parent.from()),
                ("match", &equal("s", &link.columns, "t", &link.parent_columns, false)),
                ("pass", &self.part(&columns("t", &link.parent_columns), 0, parts, first.can_be_parted)),
            ],
        );
        let counts: Vec<i64> = self.visit.query_one(&sql, &[]).await?.try_get("counts")?;
        let Some((judged, agreed)) = counts.split_first() else { return Ok(None) };
        let best = agreed.iter().enumerate().rev().max_by_key(|(_, agreed)| **agreed);
        let Some((place, count)) =
            best.filter(|(_, count)| *judged >= JUDGED_MIN && **count as f64 >= AGREE_MIN * *judged as f64)
        else {
            return Ok(None);
        };
        let mut check = candidates[place].clone();
        let of = if parts > 1 { " that were looked at" } else { "" };
        check.about.evidence.push(format!("{count} of the {judged} totals with items{of} are that sum"));
        Ok(Some(check))
    }

    pub(in super::super) async fn count_totals(&mut self, check: &TotalCheck) -> Option<Counted> {
        match self.try_totals(check).await {
            Ok(counted) => Some(counted),
            Err(error) => {
                let parent = &check.link.parent;
                self.skip(format!("total `{}.{}` (`{}`)", parent.schema, parent.name, check.total), &error);
                None
            }
        }
    }

    async fn try_totals(&self, check: &TotalCheck) -> Result<Counted, Error> {
        let (Some(child), Some(parent)) =
            (self.tables.find(&check.link.child), self.tables.find(&check.link.parent))
        else {
            return Ok(Counted::default());
        };
        let (mut part, mut parts) = (0, self.parts(child, check.can_be_parted));
        let mut counted = Counted::default();
        let (mut missing, mut by_one_cent, mut without_items, mut sampled_from) = (0, 0, 0, None);
        while part < parts {
            let passes = self.passes(check, part, parts);
            let started = std::time::Instant::now();
            let values = values(check, child, parent, &passes);
            let sql = fill(include_str!("../../../sql/integrity/totals.sql"), &filled(&values));
            let row = match self.visit.query_one(&sql, &[]).await {
                Ok(row) => row,
                Err(error) if is_timeout(&error) && check.can_be_parted && parts * 4 <= PARTS_MAX => {
                    (part, parts, counted) = (0, parts * 4, Counted::default());
                    (missing, by_one_cent, without_items) = (0, 0, 0);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let number = |name: &str| row.try_get::<_, i64>(name);
            let rows = number("rows")?;
            counted.rows += rows;
            counted.of += number("of")?;
            missing += number("missing")?;
            by_one_cent += number("by_one_cent")?;
            without_items += number("without_items")?;
            if rows > 0 && sampled_from.is_none() {
                sampled_from = Some(passes);
            }
            part += 1;
            self.rest(started.elapsed()).await;
        }
        counted.more =
            vec![("missing", missing), ("by_one_cent", by_one_cent), ("without_items", without_items)];
        if let Some(passes) = sampled_from {
            let mut values = values(check, child, parent, &passes);
            values.push(("shown", super::shown(parent, &[])));
            let sql = fill(include_str!("../../../sql/integrity/sample_totals.sql"), &filled(&values));
            counted.samples = self.texts(&sql).await?;
        }
        Ok(counted)
    }

    /// The conditions for a part of the items, and for the same part of the totals.
    fn passes(&self, check: &TotalCheck, part: u64, parts: u64) -> (String, String) {
        let link = &check.link;
        (
            self.part(&columns("c", &link.columns), part, parts, check.can_be_parted),
            self.part(&columns("t", &link.parent_columns), part, parts, check.can_be_parted),
        )
    }
}

fn values(
    check: &TotalCheck,
    child: &Table<'_>,
    parent: &Table<'_>,
    passes: &(String, String),
) -> Vec<(&'static str, String)> {
    let link = &check.link;
    vec![
        ("keys", columns("c", &link.columns).join(", ")),
        ("item", check.item.clone()),
        ("child", child.from()),
        ("child_pass", passes.0.clone()),
        ("total", check.total()),
        ("expected", check.expected("items")),
        ("parent", parent.from()),
        ("match", equal("s", &link.columns, "t", &link.parent_columns, false)),
        ("pass", passes.1.clone()),
    ]
}

fn filled<'a>(values: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    values.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
