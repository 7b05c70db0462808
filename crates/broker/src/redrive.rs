//! Redrives: recorded, paced, cancellable runs that give dead letters back to their queues (requirements, decision 13).
//!
//! A run takes its letters at once, in one transaction, and gives each a time to go back. All of that is in the
//! database, so whichever node keeps house goes on with it after a restart.
//! Not for: which letters there are (see `dead`), or what to redrive (`dead/triage`).

use jiff::Timestamp;
use posthaste_base::limits::REDRIVE_DELAY_SECONDS_MAX;
use posthaste_base::{Code, Error, RedriveId, Result};
use posthaste_engine::backoff::redrive_delay_seconds;
use posthaste_store::dead::{self, Order, Selection};
use posthaste_store::redrive::{self as store, NewRedrive, RedriveRow};
use serde::{Deserialize, Serialize};

use crate::Broker;
use crate::dead::{DeadLetterFilter, DeadLetterOut, bad, find, max_messages};
use crate::key::random_bytes;
use crate::transact::Abort;

/// What a preview and a run take when nobody says (requirements, H3 and H4).
const PREVIEW_MESSAGES: usize = 20;
const RUN_MESSAGES: usize = 100;
const JITTER_SECONDS: i64 = 5;
const RATE_PER_SECOND_MAX: i64 = 1_000;
const RUNS_OF_PAGE_MAX: usize = 100;
const DAY_SECONDS: i64 = 24 * 3_600;

/// What to redrive and how fast. As data it is flat: the filter's parts stand beside the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "FlatRedrive")]
pub struct RedriveIn {
    pub filter: DeadLetterFilter,
    /// 1 to 1,000; a preview takes 20 when it is not given, a run 100.
    pub max_messages: Option<i64>,
    /// Each message goes back after a random time up to so many seconds, 0 to 900; 5 when it is not given.
    pub per_message_delay_jitter: Option<i64>,
    /// So many messages go back in a second, if given; the jitter comes on top.
    pub rate_per_second: Option<i64>,
    pub started_by: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct FlatRedrive {
    queue: Option<String>,
    error_type: Option<String>,
    min_age_seconds: Option<i64>,
    max_age_seconds: Option<i64>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    endpoint: Option<String>,
    ids: Option<Vec<i64>>,
    max_messages: Option<i64>,
    per_message_delay_jitter: Option<i64>,
    rate_per_second: Option<i64>,
}

impl From<FlatRedrive> for RedriveIn {
    fn from(flat: FlatRedrive) -> Self {
        Self {
            filter: DeadLetterFilter {
                queue: flat.queue,
                error_type: flat.error_type,
                min_age_seconds: flat.min_age_seconds,
                max_age_seconds: flat.max_age_seconds,
                from: flat.from,
                to: flat.to,
                event_type: flat.event_type,
                endpoint: flat.endpoint,
                ids: flat.ids,
            },
            max_messages: flat.max_messages,
            per_message_delay_jitter: flat.per_message_delay_jitter,
            rate_per_second: flat.rate_per_second,
            started_by: String::new(),
        }
    }
}

/// What a run with the same parameters would take now, in this order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewOut {
    pub count: usize,
    pub max_messages: usize,
    /// The filter selects more letters than `max_messages`.
    pub has_more: bool,
    pub messages: Vec<DeadLetterOut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RedriveStatus {
    Running,
    Done,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveOut {
    pub id: RedriveId,
    pub queue: Option<String>,
    pub filter: serde_json::Value,
    pub status: RedriveStatus,
    /// Letters that it took.
    pub total: i32,
    /// Of these, gone back to their queues.
    pub moved: i32,
    /// Of these, still to go back.
    pub waiting: i32,
    /// Of these, let go because it was cancelled.
    pub released: i32,
    pub per_message_delay_jitter: i32,
    pub rate_per_second: Option<i32>,
    pub started_by: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

impl Broker {
    /// Shows what a run would take, and changes nothing.
    pub async fn preview_redrive(&self, redrive: &RedriveIn) -> Result<PreviewOut> {
        let max = max_messages(redrive.max_messages, PREVIEW_MESSAGES)?;
        Pace::of(redrive, max)?;
        let selection = Selection { only_free: true, ..redrive.filter.selection(&self.catalog())? };
        let session = self.pool().get().await?;
        let order = Order::OldestFirst;
        let found = find(&session, &selection, order, order.start(), max, usize::MAX).await?;
        let letters = dead::by_ids(&session, &found.ids, false).await?;
        let messages: Vec<DeadLetterOut> = letters.into_iter().map(Into::into).collect();
        Ok(PreviewOut { count: messages.len(), max_messages: max, has_more: found.next.is_some(), messages })
    }

    /// Takes the oldest letters that the filter selects and no other run has taken, and records the run.
    pub async fn start_redrive(&self, redrive: &RedriveIn) -> Result<RedriveOut> {
        let max = max_messages(redrive.max_messages, RUN_MESSAGES)?;
        let pace = Pace::of(redrive, max)?;
        let selection = &Selection { only_free: true, ..redrive.filter.selection(&self.catalog())? };
        let delays = &pace.delays_seconds(max, u64::from_le_bytes(random_bytes()?));
        let run = &NewRedrive {
            queue_id: selection.queue_id,
            filter: serde_json::to_value(&redrive.filter)
                .map_err(|error| Error::new(Code::Internal, "a filter is not JSON").caused_by(error))?,
            jitter_seconds: pace.jitter_seconds as i32,
            rate_per_second: pace.per_second.map(|rate| rate as i32),
            started_by: redrive.started_by.clone(),
        };
        let run = self
            .transact(|tx| async move {
                let id = store::insert(&tx, run).await?;
                let mut taken = 0;
                let mut from = Some(Order::OldestFirst.start());
                // Letters that another run takes at the same moment are passed over, so one look may not do.
                while let Some(start) = from.filter(|_| taken < max) {
                    let found =
                        find(&tx, selection, Order::OldestFirst, start, max - taken, usize::MAX).await?;
                    let delays = &delays[taken..taken + found.ids.len()];
                    taken += store::claim_letters(&tx, id, &found.ids, delays).await? as usize;
                    from = found.next;
                }
                store::set_total(&tx, id, taken as i32).await?;
                Ok::<_, Abort>(store::get(&tx, id).await?)
            })
            .await?;
        self.ring_keeper();
        self.inner.notifier.due();
        run.map(redrive_out).transpose()?.ok_or_else(|| no_run("just now"))
    }

    /// Gives back letters whose time has come, `limit` at most; answers with how many.
    ///
    /// They become visible at once, as messages that were never received, under their old ids.
    pub async fn move_due(&self, limit: usize) -> Result<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let keep_seconds = i64::from(self.options().key_ttl_days) * DAY_SECONDS;
        let moved = self
            .transact(|tx| async move { Ok::<_, Abort>(store::sweep_due(&tx, limit, keep_seconds).await?) })
            .await?;
        let catalog = self.catalog();
        for (queue, letters) in &moved {
            if let Some(queue) = catalog.queues.get(queue) {
                self.queue_metrics(queue).redriven.increment(*letters);
            }
        }
        Ok(moved.iter().map(|(_, letters)| letters).sum())
    }

    /// Runs before the one with the id `before`, the newest first.
    pub async fn list_redrives(&self, before: Option<RedriveId>, limit: usize) -> Result<Vec<RedriveOut>> {
        let session = self.pool().get().await?;
        let limit = limit.clamp(1, RUNS_OF_PAGE_MAX) as i64;
        let rows = store::list(&session, before.map_or(i64::MAX, |id| id.0), limit).await?;
        rows.into_iter().map(redrive_out).collect()
    }

    pub async fn redrive(&self, id: RedriveId) -> Result<RedriveOut> {
        let session = self.pool().get().await?;
        store::get(&session, id.0).await?.map(redrive_out).transpose()?.ok_or_else(|| no_run(id))
    }

    /// Lets go of the letters that have not gone back yet. What has gone back stays there.
    pub async fn cancel_redrive(&self, id: RedriveId) -> Result<RedriveOut> {
        let row = self
            .transact(|tx| async move {
                // The letters before the run, in the same order as when they are given back.
                store::release_letters(&tx, id.0).await?;
                let is_cancelled = store::cancel(&tx, id.0).await?;
                let row = store::get(&tx, id.0).await?.ok_or_else(|| no_run(id))?;
                if !is_cancelled {
                    let message = format!("the redrive {id} has ended: it is {}", row.status);
                    return Err(Abort::Refused(Error::new(Code::Conflict, message).field("id")));
                }
                Ok(row)
            })
            .await?;
        redrive_out(row)
    }
}

/// How the letters of a run are spread over time.
#[derive(Clone, Copy, Debug)]
struct Pace {
    jitter_seconds: u32,
    per_second: Option<u32>,
}

impl Pace {
    fn of(redrive: &RedriveIn, max_messages: usize) -> Result<Self> {
        let limit = i64::from(REDRIVE_DELAY_SECONDS_MAX);
        let jitter = redrive.per_message_delay_jitter.unwrap_or(JITTER_SECONDS);
        if !(0..=limit).contains(&jitter) {
            return Err(bad("perMessageDelayJitter", format!("{jitter} is out of range"))
                .expected(format!("0 to {limit} seconds")));
        }
        if let Some(rate) = redrive.rate_per_second {
            if !(1..=RATE_PER_SECOND_MAX).contains(&rate) {
                return Err(bad("ratePerSecond", format!("{rate} is out of range"))
                    .expected(format!("1 to {RATE_PER_SECOND_MAX}")));
            }
            // Beyond the longest delay they would all go back in its last second.
            if max_messages as i64 > rate * limit {
                let message = format!("{max_messages} messages do not fit into {limit} s at {rate} a second");
                return Err(bad("maxMessages", message).expected(format!("{} at most", rate * limit)));
            }
        }
        Ok(Self {
            jitter_seconds: jitter as u32,
            per_second: redrive.rate_per_second.map(|rate| rate as u32),
        })
    }

    /// After how many seconds each of `count` messages goes back: the same for the same seed.
    fn delays_seconds(self, count: usize, seed: u64) -> Vec<i32> {
        let mut state = seed;
        (0..count)
            .map(|place| {
                let base = self.per_second.map_or(0, |rate| place / rate as usize);
                let base = u32::try_from(base).unwrap_or(u32::MAX);
                redrive_delay_seconds(base, self.jitter_seconds, random(&mut state)) as i32
            })
            .collect()
    }
}

/// SplitMix64: the next number in 0..1 of a seeded sequence.
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

fn redrive_out(row: RedriveRow) -> Result<RedriveOut> {
    let status = match row.status.as_str() {
        "running" => RedriveStatus::Running,
        "done" => RedriveStatus::Done,
        "cancelled" => RedriveStatus::Cancelled,
        other => return Err(Error::new(Code::Internal, format!("a redrive has the status `{other}`"))),
    };
    let left = row.total - row.moved;
    Ok(RedriveOut {
        id: RedriveId(row.id),
        queue: row.queue,
        filter: row.filter,
        status,
        total: row.total,
        moved: row.moved,
        waiting: if status == RedriveStatus::Running { left } else { 0 },
        released: if status == RedriveStatus::Cancelled { left } else { 0 },
        per_message_delay_jitter: row.jitter_seconds,
        rate_per_second: row.rate_per_second,
        started_by: row.started_by,
        started_at: row.started_at,
        finished_at: row.finished_at,
    })
}

fn no_run(id: impl std::fmt::Display) -> Error {
    Error::new(Code::NotFound, format!("there is no redrive {id}")).field("id")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn body_of_a_redrive_is_flat_and_refuses_what_it_does_not_know() {
        let body = json!({
            "maxMessages": 100, "errorType": "SchemaValidationError", "minAgeSeconds": 300, "perMessageDelayJitter": 5
        });
        let redrive: RedriveIn = serde_json::from_value(body).unwrap();
        assert_eq!(redrive.filter.error_type.as_deref(), Some("SchemaValidationError"));
        assert_eq!(redrive.filter.min_age_seconds, Some(300));
        assert_eq!((redrive.max_messages, redrive.per_message_delay_jitter), (Some(100), Some(5)));
        assert!(serde_json::from_value::<RedriveIn>(json!({"errortype": "X"})).is_err());
    }

    #[test]
    fn pace_out_of_range_is_refused_by_name() {
        let check = |body: serde_json::Value, field: &str| {
            let redrive: RedriveIn = serde_json::from_value(body.clone()).unwrap();
            let max = max_messages(redrive.max_messages, RUN_MESSAGES);
            let error = max.and_then(|max| Pace::of(&redrive, max)).unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::InvalidParameter, Some(field)), "{body}");
        };
        check(json!({"perMessageDelayJitter": -1}), "perMessageDelayJitter");
        check(json!({"perMessageDelayJitter": 901}), "perMessageDelayJitter");
        check(json!({"ratePerSecond": 0}), "ratePerSecond");
        check(json!({"ratePerSecond": 1, "maxMessages": 1_000}), "maxMessages");
        check(json!({"maxMessages": 1_001}), "maxMessages");
    }

    #[test]
    fn delays_stay_within_the_jitter_and_the_limit() {
        let check = |jitter_seconds: u32, per_second: Option<u32>, longest: i32| {
            for seed in 0..50 {
                let delays = Pace { jitter_seconds, per_second }.delays_seconds(900, seed);
                assert!(delays.iter().all(|delay| (0..=longest).contains(delay)), "seed {seed}: {delays:?}");
                assert_eq!(delays, Pace { jitter_seconds, per_second }.delays_seconds(900, seed));
            }
        };
        check(0, None, 0);
        check(5, None, 5);
        check(900, None, 900);
        check(5, Some(10), 94);
        check(900, Some(1), 900);
    }

    #[test]
    fn rate_spreads_messages_evenly() {
        let delays = Pace { jitter_seconds: 0, per_second: Some(2) }.delays_seconds(5, 1);
        assert_eq!(delays, [0, 0, 1, 1, 2]);
    }
}
