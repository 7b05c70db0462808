//! Carries out operations on a database with two nodes, and holds what comes of each against the oracle.

macro_rules! ensure {
    ($is:expr, $($why:tt)+) => {
        if !$is {
            return Err(format!($($why)+));
        }
    };
}

mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use posthaste_base::{Clock, Code};
use posthaste_broker::{
    Broker, BrokerOptions, DeadLetterFilter, DeadLetterOut, Declaration, EventIn, Message, Payload, Receipt,
    RedriveIn, SendIn, Settlement,
};
use posthaste_engine::due::Due;
use posthaste_engine::failure::{Unsettled, classify_unsettled};
use posthaste_store::lead;
use posthaste_store::segment::Segment;
use posthaste_testkit::db::TestDb;
use serde_json::json;

use crate::Op;
use crate::oracle::{Counts, Key, Oracle, QUEUES, State, Waiting, half_steps, seconds};

type Checked = Result<(), String>;

/// Longer than a node goes without looking into the half that takes no new messages.
const LOOK_BEHIND: Duration = Duration::from_millis(520);

pub(crate) struct World {
    db: TestDb,
    nodes: [Broker; 2],
    oracle: Oracle,
    sent: usize,
}

async fn node(db: &TestDb, now: i64) -> Broker {
    let clock = Clock::system();
    clock.jump(SignedDuration::from_secs(seconds(now).into()));
    let pool = db.pool_with(posthaste_store::PoolOptions::of_size(4));
    Broker::open(pool, BrokerOptions::default(), clock).await.expect("a node")
}

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl World {
    pub(crate) async fn open() -> Self {
        let db = TestDb::posthaste().await;
        let mut declaration = String::new();
        for queue in &QUEUES {
            let retention = seconds(queue.retention);
            declaration.push_str(&format!(
                "[queues.{}]\nmax_receives = {}\nretention_seconds = {retention}\n",
                queue.name, queue.receives_max
            ));
        }
        declaration.push_str("[subscriptions.all]\ntopic = \"t\"\nqueue = \"long\"\n");
        declaration
            .push_str("[subscriptions.odd]\ntopic = \"t\"\nqueue = \"short\"\nfilter = { odd = [true] }\n");
        let first = node(&db, 0).await;
        first.apply(&Declaration::parse(&declaration).expect("a declaration")).await.expect("it is applied");
        let second = node(&db, 0).await;
        Self { db, nodes: [first, second], oracle: Oracle::default(), sent: 0 }
    }

    pub(crate) async fn carry_out(&mut self, op: &Op) -> Checked {
        self.oracle.operation += 1;
        match op {
            Op::Send { node, queue, n, delay } => self.send(*node, *queue, *n, *delay).await,
            Op::Publish { node, key, variant, due } => self.publish(*node, *key, *variant, *due).await,
            Op::TakeUp { node } => self.take_up(*node).await,
            Op::Receive { node, queue, max, lease } => self.receive(*node, *queue, *max, *lease).await,
            Op::ReceiveTogether { queue, max, lease, sent } => {
                self.receive_together(*queue, *max, *lease, *sent).await
            }
            Op::Settle { node, picks } => {
                self.conclude(*node, picks, Settlement::done, State::Settled, false).await
            }
            Op::SettleTogether { picks } => self.settle_together(picks).await,
            Op::GiveBack { node, picks, delay } => self.give_back(*node, picks, *delay).await,
            Op::PutOff { node, picks, delay } => {
                let (until, ms) = self.later(*delay);
                let end = |receipt| Settlement::deferred(receipt, ms);
                self.conclude(*node, picks, end, State::Delayed { until }, false).await
            }
            Op::Kill { node, picks } => {
                let failure = classify_unsettled(Unsettled::ReceivesExhausted);
                let end = |receipt| Settlement::dead(receipt, &failure);
                self.conclude(*node, picks, end, State::Dead, true).await
            }
            Op::Extend { node, pick, by } => self.extend(*node, *pick, *by).await,
            Op::Sweep { node, queue } => self.sweep(*node, *queue).await,
            Op::Promote { node, queue } => self.promote(*node, *queue).await,
            Op::Pass { steps } => self.pass(*steps).await,
            Op::Redrive { node, queue, max } => self.redrive(*node, *queue, *max).await,
            Op::Purge { node, queue } => self.purge(*node, *queue).await,
            Op::Rotate { queue } => self.rotate(*queue).await,
            Op::Empty { queue } => {
                let behind = self.segment(*queue).other();
                text(lead::empty(&self.db.pool, behind).await.map_err(posthaste_base::Error::from)).map(drop)
            }
            Op::Refresh { node } => text(self.nodes[*node].refresh_catalog().await),
            Op::Peek { node, queue, max } => self.peek(*node, *queue, *max).await,
        }
    }

    async fn send(&mut self, node: usize, queue: usize, n: usize, delay: Option<i64>) -> Checked {
        let delay = delay.map(half_steps);
        let payloads: Vec<String> = (0..n).map(|i| format!("m{}", self.sent + i)).collect();
        self.sent += n;
        let messages = payloads.iter().map(|payload| SendIn {
            payload: payload.clone().into(),
            delay_seconds: delay.map(seconds),
            ..SendIn::default()
        });
        let half = self.half_known_to(node, queue);
        let ids = text(self.nodes[node].send(QUEUES[queue].name, messages.collect()).await)?;
        let state = match delay {
            Some(delay) => State::Delayed { until: self.oracle.now + delay },
            None => State::Visible { half, since: self.oracle.operation },
        };
        for (id, payload) in ids.into_iter().zip(payloads) {
            self.oracle.add(Key::Direct(id.0), queue, payload, state);
        }
        Ok(())
    }

    async fn publish(&mut self, node: usize, key: u8, variant: u8, due: Option<i64>) -> Checked {
        let payload = format!("{{\"v\":{variant}}}");
        let broker = &self.nodes[node];
        let due_at = due.map(|due| self.oracle.now + half_steps(due));
        let due = due.map(|due| {
            let after = SignedDuration::from_secs(seconds(half_steps(due)).into());
            Due::Instant(broker.clock().now().saturating_add(after).expect("a time"))
        });
        let event = EventIn {
            event_type: Some("t".into()),
            key: Some(format!("k{key}")),
            attributes: json!({"odd": key % 2 == 1}).as_object().expect("an object").clone(),
            due,
            ..EventIn::of(text(Payload::json(payload.clone().into()))?)
        };
        let answer = broker.publish(event).await;
        match (self.oracle.events.get(&key), answer) {
            (None, Ok(out)) if !out.duplicate => {
                self.oracle.events.insert(key, (out.id.0, variant));
                let queues = if key % 2 == 1 { vec![0, 1] } else { vec![0] };
                let waiting =
                    Waiting { due_at: due_at.unwrap_or(self.oracle.now), event: out.id.0, payload, queues };
                match due_at {
                    Some(_) => self.oracle.waiting.push(waiting),
                    None => self.becomes_messages(node, waiting),
                }
                Ok(())
            }
            (Some((id, first)), Ok(out)) if out.duplicate && *first == variant && out.id.0 == *id => Ok(()),
            (Some((_, first)), Err(error)) if *first != variant && error.code() == Code::KeyConflict => {
                Ok(())
            }
            (known, answer) => Err(format!("key {key} stands for {known:?}, and publishing says {answer:?}")),
        }
    }

    fn becomes_messages(&mut self, node: usize, waiting: Waiting) {
        for queue in waiting.queues {
            let state =
                State::Visible { half: self.half_known_to(node, queue), since: self.oracle.operation };
            self.oracle.add(Key::OfEvent(waiting.event, queue), queue, waiting.payload.clone(), state);
        }
    }

    async fn take_up(&mut self, node: usize) -> Checked {
        let published = text(self.nodes[node].publish_due().await)?;
        let waiting = std::mem::take(&mut self.oracle.waiting);
        let now = self.oracle.now;
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| one.due_at <= now);
        self.oracle.waiting = later;
        ensure!(published == due.len(), "{published} events were published, {} are due", due.len());
        due.into_iter().for_each(|one| self.becomes_messages(node, one));
        Ok(())
    }

    async fn receive(&mut self, node: usize, queue: usize, max: usize, lease: i64) -> Checked {
        let mut messages = self.received(node, queue, max, lease).await?;
        self.reconcile(queue).await?;
        if messages.is_empty() && self.oracle.visible(queue).next().is_some() {
            tokio::time::sleep(LOOK_BEHIND).await;
            messages = self.received(node, queue, max, lease).await?;
            self.reconcile(queue).await?;
            ensure!(!messages.is_empty(), "nothing was received, but messages are visible");
        }
        self.check_order(queue, max, &messages)?;
        self.take(queue, lease, messages)
    }

    async fn received(
        &self,
        node: usize,
        queue: usize,
        max: usize,
        lease: i64,
    ) -> Result<Vec<Message>, String> {
        let visibility = Some(seconds(half_steps(lease)));
        text(self.nodes[node].receive(QUEUES[queue].name, max, visibility, Duration::ZERO).await)
    }

    /// One claim takes from one half what has been visible there for longest.
    fn check_order(&self, queue: usize, max: usize, messages: &[Message]) -> Checked {
        let Some(first) = messages.first() else { return Ok(()) };
        let half = half_of(first.receipt);
        let visible: BTreeMap<Key, usize> = self
            .oracle
            .visible(queue)
            .filter(|one| one.1 == half)
            .map(|(key, _, since)| (key, since))
            .collect();
        let mut last = 0;
        for message in messages {
            let key = key_of(message, queue);
            ensure!(half_of(message.receipt) == half, "one claim took from both halves");
            let Some(since) = visible.get(&key) else {
                return Err(format!("{key:?} was received from half {half}, where it is not visible"));
            };
            ensure!(*since >= last, "{key:?} of operation {since} came after one of operation {last}");
            last = *since;
        }
        let taken: BTreeSet<Key> = messages.iter().map(|message| key_of(message, queue)).collect();
        let left = visible.iter().filter(|(key, _)| !taken.contains(key));
        if let Some((key, since)) = left.min_by_key(|(_, since)| **since) {
            ensure!(*since >= last, "{key:?} of operation {since} was passed over");
            // Those that were kept for too long take places in a claim, and are not given out.
            let has_old =
                self.oracle.entries.values().any(|one| one.queue == queue && self.oracle.is_expired(one));
            ensure!(
                has_old || messages.len() == max,
                "{} of {max} came, and {key:?} did not",
                messages.len()
            );
        }
        Ok(())
    }

    fn take(&mut self, queue: usize, lease: i64, messages: Vec<Message>) -> Checked {
        let expires_at = self.oracle.now + half_steps(lease);
        for message in messages {
            let key = key_of(&message, queue);
            let Some(entry) = self.oracle.entries.get_mut(&key) else {
                return Err(format!("{key:?} was received and never sent"));
            };
            ensure!(
                matches!(entry.state, State::Visible { .. }),
                "{key:?} was received and is {:?}",
                entry.state
            );
            ensure!(message.receives == entry.receives + 1, "{key:?}: {} receives", message.receives);
            ensure!(message.payload == entry.payload.as_bytes(), "{key:?} has another payload");
            let id = *entry.id.get_or_insert(message.id.0);
            ensure!(id == message.id.0, "{key:?} had the id {id} and has {}", message.id);
            self.oracle.take(key, message.receipt, expires_at);
        }
        Ok(())
    }

    async fn receive_together(&mut self, queue: usize, max: usize, lease: i64, sent: usize) -> Checked {
        let payloads: Vec<String> = (0..sent).map(|i| format!("m{}", self.sent + i)).collect();
        self.sent += sent;
        let messages = payloads.iter().map(|one| SendIn { payload: one.clone().into(), ..SendIn::default() });
        let half = self.half_known_to(0, queue);
        let (one, two, ids) = tokio::join!(
            self.received(0, queue, max, lease),
            self.received(1, queue, max, lease),
            self.nodes[0].send(QUEUES[queue].name, messages.collect()),
        );
        let state = State::Visible { half, since: self.oracle.operation };
        for (id, payload) in text(ids)?.into_iter().zip(payloads) {
            self.oracle.add(Key::Direct(id.0), queue, payload, state);
        }
        self.take(queue, lease, one?)?;
        self.take(queue, lease, two?)?;
        self.reconcile(queue).await
    }

    /// Those of the receipts that `picks` choose, each once.
    fn picked(&self, picks: &[usize]) -> Vec<usize> {
        let n = self.oracle.holds.len();
        let live: Vec<usize> = (0..n).filter(|place| self.oracle.holds[*place].is_live).collect();
        let pick = |pick: &usize| match live.len() {
            // Most of the time one that is good; else any, used up or not.
            n_live if n_live > 0 && !pick.is_multiple_of(4) => live[pick % n_live],
            _ => pick % n.max(1),
        };
        let picked: BTreeSet<usize> = picks.iter().map(pick).filter(|place| *place < n).collect();
        picked.into_iter().collect()
    }

    async fn conclude(
        &mut self,
        node: usize,
        picks: &[usize],
        end: impl Fn(Receipt) -> Settlement,
        state: State,
        counts: bool,
    ) -> Checked {
        let places = self.picked(picks);
        let settlements = places.iter().map(|place| end(self.oracle.holds[*place].receipt));
        let answers = text(self.nodes[node].conclude(settlements.collect()).await)?;
        for (place, answer) in places.into_iter().zip(answers) {
            self.check_end(place, answer.map_err(|error| error.code()), state, counts)?;
        }
        Ok(())
    }

    fn check_end(&mut self, place: usize, answer: Result<(), Code>, state: State, counts: bool) -> Checked {
        let hold = &self.oracle.holds[place];
        match (hold.is_live, answer) {
            (true, Ok(())) => self.oracle.end(place, state, counts),
            (false, Err(Code::LeaseLost)) => {}
            (false, Ok(())) if hold.is_settled && state == State::Settled => {}
            (is_live, answer) => {
                let what = if is_live { "live" } else { "used up" };
                return Err(format!("the receipt {} is {what}, and ending it says {answer:?}", hold.receipt));
            }
        }
        Ok(())
    }

    async fn settle_together(&mut self, picks: &[usize]) -> Checked {
        let places = self.picked(picks);
        let receipts: Vec<Receipt> = places.iter().map(|place| self.oracle.holds[*place].receipt).collect();
        let (one, two) = tokio::join!(self.nodes[0].settle(receipts.clone()), self.nodes[1].settle(receipts));
        for (place, (one, two)) in places.into_iter().zip(text(one)?.into_iter().zip(text(two)?)) {
            let answer = one.or(two).map_err(|error| error.code());
            self.check_end(place, answer, State::Settled, false)?;
        }
        Ok(())
    }

    async fn give_back(&mut self, node: usize, picks: &[usize], delay: i64) -> Checked {
        let (until, _) = self.later(delay);
        let delay_seconds = seconds((until - self.oracle.now).max(0));
        let places = self.picked(picks);
        let receipts = places.iter().map(|place| self.oracle.holds[*place].receipt).collect();
        let answers = text(self.nodes[node].give_back(receipts, delay_seconds).await)?;
        for (place, answer) in places.into_iter().zip(answers) {
            self.check_end(place, answer.map_err(|error| error.code()), State::Delayed { until }, true)?;
        }
        Ok(())
    }

    /// When a delay of so many steps ends (none is at once), and how long that is.
    fn later(&self, steps: i64) -> (i64, i64) {
        let half_steps = if steps == 0 { 0 } else { half_steps(steps) };
        (self.oracle.now + half_steps, i64::from(seconds(half_steps)) * 1_000)
    }

    async fn extend(&mut self, node: usize, pick: usize, by: i64) -> Checked {
        let Some(place) = self.picked(&[pick]).pop() else { return Ok(()) };
        let hold = &self.oracle.holds[place];
        let answer = self.nodes[node].extend(hold.receipt, seconds(half_steps(by))).await;
        match (hold.is_live, answer) {
            (true, Ok(_)) => {
                let until = self.oracle.now + half_steps(by);
                let lease = self.oracle.leases.get_mut(&hold.lease).expect("its lease");
                lease.extended.insert(hold.key, until);
                Ok(())
            }
            (false, Err(error)) if error.code() == Code::LeaseLost => Ok(()),
            (is_live, answer) => Err(format!("live is {is_live}, and extending says {answer:?}")),
        }
    }

    async fn sweep(&mut self, node: usize, queue: usize) -> Checked {
        let swept = text(self.nodes[node].sweep_leases(self.segment(queue).queue, None).await)?;
        let expected = self.oracle.sweep(queue);
        ensure!(swept == expected, "{swept} messages came back from leases, expected {expected}");
        Ok(())
    }

    async fn promote(&mut self, node: usize, queue: usize) -> Checked {
        let moved = text(self.nodes[node].promote(self.segment(queue).queue).await)?;
        let expected = self.oracle.promote(queue);
        ensure!(moved == expected, "{moved} delayed messages became visible, expected {expected}");
        Ok(())
    }

    async fn pass(&mut self, steps: i64) -> Checked {
        self.oracle.now += 2 * steps;
        self.db.set_clock_ahead(seconds(self.oracle.now).into()).await;
        self.nodes = [node(&self.db, self.oracle.now).await, node(&self.db, self.oracle.now).await];
        Ok(())
    }

    async fn redrive(&mut self, node: usize, queue: usize, max: usize) -> Checked {
        let run = RedriveIn {
            filter: DeadLetterFilter {
                queue: Some(QUEUES[queue].name.into()),
                ..DeadLetterFilter::default()
            },
            max_messages: Some(max as i64),
            per_message_delay_jitter: Some(0),
            ..RedriveIn::default()
        };
        text(self.nodes[node].start_redrive(&run).await)?;
        let moved = text(self.nodes[1 - node].move_due(1_000).await)?;
        let before = self.oracle.dead(queue);
        let after = self.dead(queue).await?;
        let gone: Vec<Key> = before.difference(&after).copied().collect();
        let expected = before.len().min(max);
        ensure!(
            gone.len() == expected && moved as usize == expected,
            "{moved} moved and {} are gone of {expected} dead letters",
            gone.len()
        );
        let now = self.oracle.now;
        for key in gone {
            let entry = self.oracle.entries.get_mut(&key).expect("it is known");
            (entry.state, entry.receives, entry.sent_at) = (State::Delayed { until: now }, 0, now);
        }
        Ok(())
    }

    async fn purge(&mut self, node: usize, queue: usize) -> Checked {
        let fresh: Vec<Key> = self.oracle.visible(queue).map(|(key, ..)| key).collect();
        let mut purged = 0;
        for _ in 0..4 {
            purged += text(self.nodes[node].purge(QUEUES[queue].name).await)? as usize;
            self.reconcile(queue).await?;
            if purged >= fresh.len() {
                break;
            }
            tokio::time::sleep(LOOK_BEHIND).await;
        }
        ensure!(purged == fresh.len(), "{purged} were purged of {}", fresh.len());
        for key in fresh {
            self.oracle.entries.get_mut(&key).expect("it is known").state = State::Settled;
        }
        Ok(())
    }

    async fn rotate(&mut self, queue: usize) -> Checked {
        let session = self.db.pool.get().await.expect("a session");
        text(lead::rotate(&session, self.segment(queue)).await.map_err(posthaste_base::Error::from))?;
        self.oracle.current[queue] = 1 - self.oracle.current[queue];
        Ok(())
    }

    async fn peek(&mut self, node: usize, queue: usize, max: usize) -> Checked {
        let peeked = text(self.nodes[node].peek(QUEUES[queue].name, max).await)?;
        let expected = self.oracle.counts(queue).visible.min(max);
        ensure!(peeked.len() == expected, "{} messages were seen, expected {expected}", peeked.len());
        for one in peeked {
            let key = one.event_id.map_or(Key::Direct(one.id.0), |event| Key::OfEvent(event.0, queue));
            let entry =
                self.oracle.entries.get(&key).ok_or_else(|| format!("{key:?} is seen and not known"))?;
            ensure!(matches!(entry.state, State::Visible { .. }), "{key:?} is seen and is {:?}", entry.state);
        }
        Ok(())
    }

    fn segment(&self, queue: usize) -> Segment {
        let id = self.nodes[0].catalog().queue(QUEUES[queue].name).expect("a queue").id;
        Segment::new(id, self.oracle.current[queue])
    }

    /// The half that a node writes to: as it was when it read the catalog.
    fn half_known_to(&self, node: usize, queue: usize) -> i16 {
        self.nodes[node].catalog().queue(QUEUES[queue].name).expect("a queue").segment
    }
}

fn key_of(message: &Message, queue: usize) -> Key {
    let event = message.event.as_ref().map(|event| event.id.0);
    event.map_or(Key::Direct(message.id.0), |event| Key::OfEvent(event, queue))
}

/// Receipts begin with the queue and its half.
fn half_of(receipt: Receipt) -> i16 {
    let text = receipt.to_string();
    text.split('-').nth(1).and_then(|half| half.parse().ok()).expect("a receipt names its half")
}
