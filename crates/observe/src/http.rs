//! The metrics of the HTTP server, which learns its routes, methods and statuses as they come.
//!
//! Not for: anything that knows HTTP; to this crate they are words and numbers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use crate::names;
use crate::registry::{counter, gauge, histogram};

/// The HTTP server. Routes are patterns (`/events/{id}`), never paths, so their number is that of the routes.
#[derive(Clone)]
pub struct HttpMetrics {
    pub in_flight: Gauge,
    pub connections: Gauge,
    pub connections_refused: Counter,
    routes: Arc<RwLock<HashMap<String, Arc<Route>>>>,
}

struct Route {
    seconds: Histogram,
    answers: RwLock<Vec<(&'static str, u16, Counter)>>,
}

impl HttpMetrics {
    pub fn new() -> Self {
        Self {
            in_flight: gauge(&names::HTTP_IN_FLIGHT, &[]),
            connections: gauge(&names::HTTP_CONNECTIONS, &[]),
            connections_refused: counter(&names::HTTP_CONNECTIONS_REFUSED, &[]),
            routes: Arc::default(),
        }
    }

    /// A request to a route was answered. A method is one of HTTP's own names, or `OTHER`.
    pub fn answered(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let found = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        let known = found.unwrap_or_else(|| self.add_route(route));
        known.seconds.record(took);
        known.count(route, method, status);
    }

    fn add_route(&self, route: &str) -> Arc<Route> {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            Arc::new(Route {
                seconds: histogram(&names::HTTP_DURATION, &[route]),
                answers: RwLock::default(),
            })
        };
        routes.entry(route.to_owned()).or_insert_with(make).clone()
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Route {
    fn count(&self, route: &str, method: &'static str, status: u16) {
        let is_this = |answer: &&(&'static str, u16, Counter)| answer.1 == status && answer.0 == method;
        if let Some((.., answers)) =
            self.answers.read().unwrap_or_else(PoisonError::into_inner).iter().find(is_this)
        {
            return answers.increment(1);
        }
        let answers = counter(&names::HTTP_REQUESTS, &[route, method, &status.to_string()]);
        answers.increment(1);
        // Two threads may both add it; both counters are the same series, and the first is found from now on.
        self.answers.write().unwrap_or_else(PoisonError::into_inner).push((method, status, answers));
    }
}
