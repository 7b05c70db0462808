//! How many attempts may run in this node, and which queues they are for.
//!
//! Every queue has places of its own, and takes free ones from those that all share. Attempts of one queue never
//! wait for another queue's. Not for: limits of one endpoint (see `gate`).

use std::collections::HashMap;
use std::sync::Arc;

use posthaste_broker::Catalog;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attempt::priority_queues;

pub(crate) struct Places {
    own: HashMap<String, Arc<Semaphore>>,
    shared: Arc<Semaphore>,
}

impl Places {
    /// Parts `attempts_max` by what the queues have reserved. Each has one at least, or it might never move.
    pub(crate) fn new(catalog: &Catalog, attempts_max: u32) -> Self {
        let wanted = |name| catalog.queue(name).map_or(0, |queue| queue.settings.reserved as usize).max(1);
        Self::parted(priority_queues().map(|name| (name, wanted(name))).collect(), attempts_max as usize)
    }

    fn parted(wanted: Vec<(&str, usize)>, attempts_max: usize) -> Self {
        let total: usize = wanted.iter().map(|(_, wanted)| wanted).sum();
        let part = |wanted: usize| (wanted * attempts_max.min(total) / total).max(1);
        let left = attempts_max.saturating_sub(wanted.iter().map(|(_, wanted)| part(*wanted)).sum());
        let own = wanted.into_iter().map(|(name, wanted)| (name.to_owned(), Semaphore::new(part(wanted))));
        Self {
            own: own.map(|(name, own)| (name, Arc::new(own))).collect(),
            shared: Arc::new(Semaphore::new(left)),
        }
    }

    /// Takes at least one place, as soon as there is one, and up to `wanted`: the queue's own first. Shared ones are
    /// taken in number only when they `are_needed` now; who waits for messages with them keeps them from others.
    pub(crate) async fn take(
        &self,
        queue: &str,
        wanted: usize,
        are_needed: bool,
    ) -> Vec<OwnedSemaphorePermit> {
        let Some(own) = self.own.get(queue) else { return Vec::new() };
        let mut places = take_free(own, wanted);
        if are_needed {
            places.extend(take_free(&self.shared, wanted - places.len()));
        } else if places.is_empty() {
            places = take_free(&self.shared, 1);
        }
        if places.is_empty() {
            let place = tokio::select! {
                place = own.clone().acquire_owned() => place,
                place = self.shared.clone().acquire_owned() => place,
            };
            places.extend(place.ok());
        }
        places
    }
}

fn take_free(from: &Arc<Semaphore>, wanted: usize) -> Vec<OwnedSemaphorePermit> {
    std::iter::from_fn(|| from.clone().try_acquire_owned().ok()).take(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(attempts_max: usize) -> Places {
        Places::parted(vec![("critical", 100), ("high", 50), ("normal", 100), ("low", 1)], attempts_max)
    }

    #[test]
    fn places_are_parted_by_what_is_reserved_and_each_queue_has_one() {
        let check = |attempts_max: usize, expected: [usize; 5]| {
            let places = places(attempts_max);
            let own = |name: &str| places.own[name].available_permits();
            let parts = [own("critical"), own("high"), own("normal"), own("low")];
            assert_eq!(
                (parts, places.shared.available_permits()),
                (expected[..4].try_into().unwrap(), expected[4])
            );
        };
        check(1_000, [100, 50, 100, 1, 749]);
        check(251, [100, 50, 100, 1, 0]);
        check(50, [19, 9, 19, 1, 2]);
        check(1, [1, 1, 1, 1, 0]);
    }

    #[tokio::test]
    async fn who_waits_for_messages_leaves_the_shared_places_to_others() {
        let places = places(300);
        let waiting = places.take("low", 500, false).await;
        let busy = places.take("low", 500, true).await;
        assert_eq!((waiting.len(), busy.len()), (1, 49));
        assert_eq!(places.take("critical", 500, true).await.len(), 100);
        drop(waiting);
        assert_eq!(places.take("low", 500, true).await.len(), 1);
    }
}
