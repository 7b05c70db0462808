//! Topics, subscriptions and endpoints: made, changed, listed, removed.
//!
//! `PUT` makes a thing, or makes an existing one exactly so. Not for: queues (see `queues`).

mod endpoints;
mod subscriptions;
mod topics;

pub(crate) use endpoints::ROWS as ENDPOINT_ROWS;
pub(crate) use subscriptions::ROWS as SUBSCRIPTION_ROWS;
pub(crate) use topics::ROWS as TOPIC_ROWS;
