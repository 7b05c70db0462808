//! When a schedule occurs next, and making that occurrence whole.
//!
//! Not for: what a rule means (see `posthaste_engine::recurrence`), or who may change a schedule.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use posthaste_base::{EventId, Priority, Result, ScheduleId};
use posthaste_engine::recurrence::{Rule, Yearly};
use posthaste_engine::{canonical, due, zone};
use posthaste_observe::Source;
use posthaste_store::Session;
use posthaste_store::schedule::{self as rows, Advance, ScheduleRow};
use serde_json::Value;

use crate::transact::Abort;
use crate::{Accepted, Broker, Catalog, NewEvent, accept, domain, route};

/// What decides when a schedule occurs.
pub(crate) struct Timing {
    /// None when the schedule follows a date that its subject does not have: it waits for that.
    rule: Option<Rule>,
    zone: TimeZone,
    at: Time,
}

impl Timing {
    pub(crate) fn of(schedule: &ScheduleRow) -> Result<Self> {
        let zone = schedule.zone.as_deref().or(schedule.subject_zone.as_deref()).unwrap_or("UTC");
        let rule = match (&schedule.rule, &schedule.follows) {
            (Some(rule), _) => Some(Rule::parse(rule)?),
            (None, Some(name)) => followed_date(schedule, name)?.map(|date| Rule::Yearly(Yearly::of(date))),
            (None, None) => None,
        };
        Ok(Self { rule, zone: zone::parse(zone)?, at: schedule.at })
    }

    /// The first occurrence strictly later than `after`. Those that were missed before it are skipped: a schedule
    /// that was held up says nothing twice.
    pub(crate) fn next_after(&self, after: Timestamp) -> Result<Option<Timestamp>> {
        match &self.rule {
            Some(rule) => rule.next_after(after, &self.zone, self.at),
            None => Ok(None),
        }
    }

    /// The occurrence that follows one which ended at `after`, or was due then. `expected_at` is when it would follow
    /// by the clock: nothing comes on an earlier local day, for what was due on that day has been, be it in another zone.
    pub(crate) fn following(
        &self,
        after: Timestamp,
        expected_at: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        let Some(expected_at) = expected_at else { return self.next_after(after) };
        let before = self.just_before(self.zone.to_datetime(expected_at).date())?;
        self.next_after(after.max(before))
    }

    /// The last moment before a local day.
    fn just_before(&self, day: Date) -> Result<Timestamp> {
        let midnight = zone::resolve(day.to_datetime(Time::midnight()), &self.zone)?;
        Ok(midnight.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(midnight))
    }

    /// Where an occurrence that was due at `due` in `old_zone` moves to, now that the zone is this one.
    ///
    /// It keeps its local day, so that moving house brings neither a second birthday nor none in a year. If its
    /// time on that day has passed here, it is due at once. Rules with several occurrences on a day have no such
    /// tie to it and go on from `now`.
    pub(crate) fn moved_from(
        &self,
        old_zone: &TimeZone,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let day = old_zone.to_datetime(due).date();
        let before = self.just_before(day)?;
        let is_on_day = |at: &Timestamp| self.zone.to_datetime(*at).date() == day;
        if let Some(first) = self.next_after(before)?.filter(is_on_day)
            && self.next_after(first)?.filter(is_on_day).is_none()
        {
            return Ok(Some(first.max(now)));
        }
        self.next_after(now)
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

fn followed_date(schedule: &ScheduleRow, name: &str) -> Result<Option<Date>> {
    let dates = schedule.subject_dates.as_ref();
    let date = dates.and_then(|dates| dates.get(name)).and_then(Value::as_str);
    date.map(due::parse_date).transpose()
}

/// What a schedule goes on with. The caller holds the schedule (`posthaste_store::schedule::lock`) and has read it
/// since.
pub(crate) struct Next {
    pub(crate) schedule: ScheduleRow,
    pub(crate) event_id: Option<EventId>,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) status: &'static str,
}

impl Next {
    /// A new occurrence at `due_at`. Without one the schedule is finished, unless it only waits for a date.
    pub(crate) fn at(schedule: ScheduleRow, due_at: Option<Timestamp>) -> Self {
        let is_over = due_at.is_none() && schedule.follows.is_none();
        let status = if is_over { "finished" } else { "active" };
        Self { schedule, event_id: due_at.map(|_| EventId::generate()), due_at, status }
    }

    pub(crate) fn paused(schedule: ScheduleRow) -> Self {
        Self { schedule, event_id: None, due_at: None, status: "paused" }
    }

    pub(crate) fn cancelled(schedule: ScheduleRow) -> Self {
        Self { schedule, event_id: None, due_at: None, status: "cancelled" }
    }

    fn advance(&self) -> Advance {
        Advance {
            id: self.schedule.id,
            status: self.status,
            event_id: self.event_id.map(|id| id.0),
            next_at: self.due_at,
            following_at: self.due_at.and_then(|due_at| following_at(&self.schedule, due_at)),
            occurrences: self.schedule.occurrences + i64::from(self.event_id.is_some()),
        }
    }

    /// The occurrence as an event of its own, with all that the schedule says (requirements, decision 10).
    fn event(&self, catalog: &Catalog) -> Option<NewEvent> {
        let (id, due_at) = (self.event_id?, self.due_at?);
        let schedule = &self.schedule;
        let explicit = schedule.priority.and_then(Priority::from_rank);
        let attributes = schedule.attributes.as_object().filter(|attributes| !attributes.is_empty());
        Some(NewEvent {
            id,
            key: occurrence_key(schedule.id, schedule.occurrences + 1, due_at),
            payload_hash: canonical::payload_hash(&schedule.payload),
            event_type: schedule.event_type.clone(),
            subject: schedule.subject.clone(),
            priority: route::priority_of(catalog, &schedule.event_type, explicit),
            due_at: Some(due_at),
            schedule_id: Some(ScheduleId(schedule.id)),
            correlation_id: None,
            attributes: attributes.map(|_| schedule.attributes.to_string()),
            payload: schedule.payload.to_string().into(),
        })
    }
}

/// When the occurrence after the one that is due at `due_at` is due, by the clock.
pub(super) fn following_at(schedule: &ScheduleRow, due_at: Timestamp) -> Option<Timestamp> {
    // What is wrong with the rule is said when that one is made.
    Timing::of(schedule).and_then(|timing| timing.next_after(due_at)).ok().flatten()
}

/// The idempotency key of an occurrence. Each occurrence of a schedule has a number of its own, so that one that
/// was withdrawn is not taken for one that comes later at the same time.
pub(crate) fn occurrence_key(schedule: i64, number: i64, due_at: Timestamp) -> String {
    format!("schedule:{schedule}:{number}:{due_at}")
}

/// Makes the occurrences that follow, remembers them in their schedules, and publishes `others` with them.
pub(crate) async fn make_in(
    session: &Session,
    broker: &Broker,
    nexts: &[Next],
    others: Vec<NewEvent>,
) -> Result<(), Abort> {
    if !nexts.is_empty() {
        // First, because an occurrence whose time comes in this very moment, and to which nobody subscribes, is
        // finished as it is accepted, and then the schedule must know it as its own.
        let advances: Vec<_> = nexts.iter().map(Next::advance).collect();
        rows::advance(session, &advances).await?;
    }
    let catalog = broker.catalog();
    let mut events: Vec<_> = nexts.iter().filter_map(|next| next.event(&catalog)).collect();
    let made = events.len();
    let announced: Vec<_> =
        events.iter().filter_map(|event| domain::scheduled(&catalog, event, event.due_at?)).collect();
    events.extend(announced);
    events.extend(others);
    if events.is_empty() {
        return Ok(());
    }
    let accepted = accept::accept_in(session, broker, &events).await?;
    broker.count_accepted(Source::Schedule, made);
    broker.count_accepted(Source::Domain, events.len() - made);
    broker.inner.metrics.schedule.occurrences_made.increment(made as u64);
    let mut refused = Vec::new();
    for (event, accepted) in events.drain(..made).zip(accepted) {
        if !matches!(accepted, Accepted::New { .. }) {
            // Somebody has used our key for an event of their own; the occurrence is made all the same.
            refused.push(NewEvent { key: format!("{}:{}", event.key, event.id), ..event });
        }
    }
    if !refused.is_empty() {
        accept::accept_in(session, broker, &refused).await?;
    }
    if made > 0 {
        rows::wake(session).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn timing(rule: Value, zone_name: &str) -> Timing {
        Timing {
            rule: Some(Rule::parse(&rule).unwrap()),
            zone: zone::parse(zone_name).unwrap(),
            at: Time::constant(9, 0, 0, 0),
        }
    }

    /// Where an occurrence goes when the subject moves from one zone to the other at `now`.
    fn check(rule: Value, (from, to): (&str, &str), (due, now): (&str, &str), expected: &str) {
        let (due, now) = (due.parse().unwrap(), now.parse().unwrap());
        let moved = timing(rule, to).moved_from(&zone::parse(from).unwrap(), due, now).unwrap();
        assert_eq!(moved, Some(expected.parse().unwrap()));
    }

    const BERLIN_TO_NEW_YORK: (&str, &str) = ("Europe/Berlin", "America/New_York");

    #[test]
    fn a_yearly_occurrence_keeps_its_local_day() {
        let (due, now) = ("2026-03-15T08:00:00Z", "2026-03-01T00:00:00Z");
        check(json!({"yearly": "03-15"}), BERLIN_TO_NEW_YORK, (due, now), "2026-03-15T13:00:00Z");
    }

    #[test]
    fn moving_after_this_years_occurrence_brings_no_second_one() {
        // At 10:00 in Berlin this year's is done; 09:00 in New York is still ahead, but the pending one is next year's.
        let (due, now) = ("2027-03-15T08:00:00Z", "2026-03-15T09:00:00Z");
        check(json!({"yearly": "03-15"}), BERLIN_TO_NEW_YORK, (due, now), "2027-03-15T13:00:00Z");
    }

    #[test]
    fn an_occurrence_whose_time_has_passed_in_the_new_zone_is_due_at_once() {
        let (due, now) = ("2026-03-15T13:00:00Z", "2026-03-15T10:00:00Z");
        check(json!({"yearly": "03-15"}), ("America/New_York", "Asia/Tokyo"), (due, now), now);
    }

    #[test]
    fn a_rule_with_many_occurrences_a_day_goes_on_from_now() {
        let (due, now) = ("2026-03-15T08:05:00Z", "2026-03-15T08:02:00Z");
        check(json!({"cron": "*/5 * * * *"}), BERLIN_TO_NEW_YORK, (due, now), due);
    }

    proptest! {
        #[test]
        fn a_moved_birthday_is_never_earlier_than_now_and_never_lost(
            month in 1_i8..=12,
            day in 1_i8..=29,
            now_second in 1_700_000_000_i64..1_900_000_000,
            zones in (0_usize..6, 0_usize..6),
        ) {
            let names = ["UTC", "Pacific/Apia", "America/Los_Angeles", "Asia/Kathmandu", "Pacific/Kiritimati", "Africa/Cairo"];
            let now = Timestamp::from_second(now_second).unwrap();
            let rule = json!({"yearly": format!("{month:02}-{day:02}")});
            let (old, new) = (timing(rule.clone(), names[zones.0]), timing(rule, names[zones.1]));
            let due = old.next_after(now).unwrap().unwrap();
            let moved = new.moved_from(old.zone(), due, now).unwrap().unwrap();
            prop_assert!(moved >= now);
            // Zones differ by 26 hours at most, so the day cannot have gone to another year's.
            let hours = moved.duration_since(due).as_hours().abs();
            prop_assert!(hours <= 27, "{due} moved to {moved}");
        }
    }
}
