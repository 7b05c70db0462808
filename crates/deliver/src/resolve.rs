//! Names to addresses, by the system's resolver, with one lookup at a time for each name.
//!
//! Not for: judging the addresses (see `address`), or remembering them: each new connection asks anew.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

type Resolved = Result<Arc<[IpAddr]>, Arc<str>>;
type Lookup = Shared<BoxFuture<'static, Resolved>>;

/// The system's resolver runs in threads that cannot be cancelled, so a name whose servers do not answer could hold
/// all of them. Whoever asks for a name that is being looked up waits for that lookup instead of starting another.
#[derive(Clone, Default)]
pub(crate) struct Resolver {
    fixed: Arc<BTreeMap<String, Vec<IpAddr>>>,
    in_flight: Arc<Mutex<HashMap<String, Lookup>>>,
}

impl Resolver {
    pub(crate) fn new(fixed: BTreeMap<String, Vec<IpAddr>>) -> Self {
        Self { fixed: Arc::new(fixed), in_flight: Arc::default() }
    }

    pub(crate) async fn resolve(&self, name: &str) -> Resolved {
        if let Some(addresses) = self.fixed.get(name) {
            return Ok(addresses.as_slice().into());
        }
        let lookup = {
            let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            match in_flight.get(name) {
                Some(lookup) => lookup.clone(),
                None => {
                    let lookup = self.start(name.to_string());
                    in_flight.insert(name.to_string(), lookup.clone());
                    lookup
                }
            }
        };
        lookup.await
    }

    /// The lookup is a task of its own: it ends by itself when those who wait for it have given up.
    fn start(&self, name: String) -> Lookup {
        let in_flight = Arc::clone(&self.in_flight);
        let task = tokio::spawn(async move {
            let resolved = match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
                Err(error) => Err(Arc::from(error.to_string())),
            };
            in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            resolved
        });
        async move { task.await.unwrap_or_else(|_| Err(Arc::from("the lookup was cut off"))) }
            .boxed()
            .shared()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lookups_of_one_name_are_shared_and_then_forgotten() {
        let resolver = Resolver::default();
        let (one, two) = tokio::join!(resolver.resolve("localhost"), resolver.resolve("localhost"));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(Arc::ptr_eq(&one, &two), "two lookups were made");
        assert!(one.iter().all(IpAddr::is_loopback) && !one.is_empty());
        assert!(resolver.in_flight.lock().unwrap().is_empty());
    }
}
