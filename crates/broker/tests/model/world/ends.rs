//! What is compared after operations, and at the end: depths, dead letters, and that nothing is left.

use super::*;

impl World {
    /// Takes in which of the messages that were kept for too long a claim has met and put to death.
    pub(super) async fn reconcile(&mut self, queue: usize) -> Checked {
        let is_old = |world: &Self, key: &Key| {
            let entry = &world.oracle.entries[key];
            matches!(entry.state, State::Visible { .. }) && world.oracle.is_expired(entry)
        };
        let old: Vec<Key> = self.oracle.entries.keys().filter(|key| is_old(self, key)).copied().collect();
        if old.is_empty() {
            return Ok(());
        }
        let dead = self.dead(queue).await?;
        for key in old.into_iter().filter(|key| dead.contains(key)) {
            let entry = self.oracle.entries.get_mut(&key).expect("it is known");
            (entry.state, entry.receives) = (State::Dead, entry.receives + 1);
        }
        Ok(())
    }

    pub(super) async fn dead(&self, queue: usize) -> Result<BTreeSet<Key>, String> {
        let filter =
            DeadLetterFilter { queue: Some(QUEUES[queue].name.into()), ..DeadLetterFilter::default() };
        let (mut letters, mut after) = (Vec::<DeadLetterOut>::new(), None);
        loop {
            let page = text(self.nodes[0].list_dead(&filter, false, after, 500).await)?;
            letters.extend(page.letters);
            after = page.next.map(posthaste_base::DeadLetterId);
            if after.is_none() {
                break;
            }
        }
        let key = |letter: &DeadLetterOut| {
            letter.event_id.map_or(Key::Direct(letter.message_id.0), |event| Key::OfEvent(event.0, queue))
        };
        let keys: BTreeSet<Key> = letters.iter().map(key).collect();
        ensure!(keys.len() == letters.len(), "a message died twice");
        Ok(keys)
    }

    /// Counts agree; with `is_whole`, every dead letter is the one that it should be.
    pub(crate) async fn check(&self, is_whole: bool) -> Checked {
        for (queue, rules) in QUEUES.iter().enumerate() {
            let depth = text(self.nodes[0].depth(rules.name).await)?;
            let expected = self.oracle.counts(queue);
            let dead = if is_whole { self.dead(queue).await?.len() } else { expected.dead };
            let found = Counts {
                visible: depth.visible as usize,
                in_flight: depth.in_flight as usize,
                delayed: depth.delayed as usize,
                dead,
            };
            ensure!(found == expected, "`{}` has {found:?}, expected {expected:?}", rules.name);
            ensure!(
                !is_whole || self.dead(queue).await? == self.oracle.dead(queue),
                "other letters are dead"
            );
        }
        Ok(())
    }

    /// Lets everything come to its end: all is settled or dead, and nothing is anywhere else.
    pub(crate) async fn drain(&mut self) -> Checked {
        for _ in 0..20 {
            if !self.oracle.has_unfinished() {
                break;
            }
            self.oracle.operation += 1;
            self.pass(10).await?;
            self.take_up(0).await?;
            for queue in 0..QUEUES.len() {
                self.sweep(0, queue).await?;
                self.promote(1, queue).await?;
                while self.oracle.counts(queue).visible > 0 {
                    self.receive(1, queue, 200, 5).await?;
                    let live = (0..self.oracle.holds.len()).filter(|place| self.oracle.holds[*place].is_live);
                    let places: Vec<usize> = live.collect();
                    let receipts = places.iter().map(|place| self.oracle.holds[*place].receipt).collect();
                    let answers = text(self.nodes[0].settle(receipts).await)?;
                    for (place, answer) in places.into_iter().zip(answers) {
                        self.check_end(place, answer.map_err(|error| error.code()), State::Settled, false)?;
                    }
                }
            }
        }
        ensure!(!self.oracle.has_unfinished(), "something is neither settled nor dead");
        self.check(true).await
    }
}
