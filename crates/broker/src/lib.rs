//! Posthaste's use cases, without a transport: what a front may ask for, in the words of the design.
//!
//! [`Broker`] is cheap to clone. Its methods are in one file an area, over the typed functions of the store.
//! Not for: HTTP, the names of other vendors, or SQL.

mod accept;
mod broker;
mod catalog;
mod dead;
mod declare;
mod event;
mod finish;
mod keeper;
mod key;
mod mode;
mod queue;
mod redrive;
mod route;
mod schedule;
mod subject;
mod transact;

pub use accept::{Accepted, NewEvent};
pub use broker::{Broker, BrokerOptions};
pub use catalog::{
    Catalog, Destination, Endpoint, EndpointKind, EndpointSettings, Queue, QueueSettings, Subscription, Topic,
};
