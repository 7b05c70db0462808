//! The account of all events: what was accepted, and what became of each.

use std::collections::BTreeMap;

use posthaste_base::Result;
use posthaste_broker::Broker;

use super::cast::{Planned, TYPES, Way};
use super::receiver::Receiver;
use crate::output::aligned;

#[derive(Default)]
pub(super) struct Account {
    /// The type of every accepted event, by its key.
    accepted: BTreeMap<String, &'static str>,
    /// Keys of events that never were.
    undone: Vec<String>,
    repeated: usize,
    from_sql: usize,
    delivered: usize,
    dead: i64,
    pub discarded: u64,
}

impl Account {
    pub(super) fn accepted(&mut self, event: &Planned) {
        let is_known = self.accepted.insert(event.key.clone(), event.event_type).is_some();
        self.repeated += usize::from(is_known);
        self.from_sql += usize::from(event.way == Way::Sql);
    }

    pub(super) fn rolled_back(&mut self, event: &Planned) {
        self.undone.push(event.key.clone());
    }

    /// What was sent, in words.
    pub(super) fn said(&self) -> String {
        let (sent, sql) = (self.accepted.len(), self.from_sql);
        format!(
            "accepted {sent} events, {sql} of them from SQL; {} were sent a second time, {} rolled back",
            self.repeated,
            self.undone.len()
        )
    }

    /// Looks what has arrived and what is dead.
    pub(super) async fn look(&mut self, receiver: &Receiver, broker: &Broker) -> Result<()> {
        // Dead letters first: what comes home in between is then counted twice for a moment, and not missed.
        self.dead = broker.count_dead_letters(None).await?.iter().map(|count| count.count).sum();
        self.delivered = self.accepted.keys().filter(|key| receiver.effects(key) > 0).count();
        Ok(())
    }

    pub(super) fn dead(&self) -> i64 {
        self.dead
    }

    pub(super) fn totals(&self) -> (usize, usize) {
        (self.delivered, self.accepted.len())
    }

    /// Events that are neither delivered, dead nor archived.
    pub(super) fn open(&self) -> i64 {
        self.accepted.len() as i64 - self.delivered as i64 - self.dead - self.discarded as i64
    }

    pub(super) fn of_type(&self, event_type: &str, receiver: &Receiver) -> (usize, usize) {
        let keys = self.accepted.iter().filter(|(_, of)| **of == event_type).map(|(key, _)| key);
        keys.fold((0, 0), |(accepted, delivered), key| {
            (accepted + 1, delivered + usize::from(receiver.effects(key) > 0))
        })
    }

    /// Whether accepted is delivered and discarded, each effect happened once, and nothing came of what was undone.
    pub(super) fn is_balanced(&self, receiver: &Receiver) -> bool {
        self.open() == 0 && self.dead == 0 && self.effects_twice(receiver) == 0 && self.ghosts(receiver) == 0
    }

    fn effects_twice(&self, receiver: &Receiver) -> usize {
        self.accepted.keys().filter(|key| receiver.effects(key) > 1).count()
    }

    fn ghosts(&self, receiver: &Receiver) -> usize {
        self.undone.iter().filter(|key| receiver.effects(key) > 0).count()
    }

    pub(super) fn summary(&self, receiver: &Receiver) -> String {
        let mut rows = vec![["TYPE", "ACCEPTED", "DELIVERED", "DISCARDED"].map(str::to_owned).to_vec()];
        for (event_type, _) in TYPES {
            let (accepted, delivered) = self.of_type(event_type, receiver);
            let discarded = accepted - delivered;
            rows.push(
                [event_type.to_owned(), accepted.to_string(), delivered.to_string(), discarded.to_string()]
                    .to_vec(),
            );
        }
        let (delivered, accepted) = self.totals();
        rows.push(
            ["all".to_owned(), accepted.to_string(), delivered.to_string(), self.discarded.to_string()]
                .to_vec(),
        );
        let totals = receiver.totals();
        let verdict = if self.is_balanced(receiver) {
            "every event is accounted for"
        } else {
            "NOT every event is accounted for"
        };
        format!(
            "\n{}\n\
             accepted = delivered + discarded          {accepted} = {delivered} + {}, {} open\n\
             events from SQL, in their own transaction {}\n\
             rolled back, and delivered nevertheless   {}\n\
             sent twice, and accepted once             {}\n\
             effects that happened more than once      {}\n\
             calls of the receiver                     {} ({} taken, {} failed, {} refused, {} repeats, {} unsigned)\n\n\
             {verdict}\n",
            aligned(&rows),
            self.discarded,
            self.open(),
            self.from_sql,
            self.ghosts(receiver),
            self.repeated,
            self.effects_twice(receiver),
            totals.calls,
            totals.taken,
            totals.failed,
            totals.refused,
            totals.repeats,
            totals.unsigned,
        )
    }
}
