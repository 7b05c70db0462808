//! Delivery to endpoints: the workers that take messages from queues, what an endpoint's address may be, how a call is
//! signed, and the client that makes it. This is the only crate that sends HTTP to strangers.
//!
//! Not for: deciding what happens after a failure (the engine), or queues themselves (the broker).

pub mod address;
mod answer;
mod attempt;
mod classify;
pub mod client;
mod connect;
pub mod endpoint;
mod export;
mod function;
mod gate;
mod places;
mod resolve;
pub mod sign;
mod test_call;
mod verdict;
pub mod webhook;
mod window;
mod worker;

pub use address::{AddressPolicy, Network};
pub use answer::{Answer, TransportError, TransportKind};
pub use client::{Client, ClientOptions, Request};
pub use endpoint::Endpoint;
pub use export::{ExportOptions, export_spans};
pub use sign::{SigningKey, generate_secret};
pub use test_call::{TestCall, test_call};
pub use worker::{Worker, WorkerOptions};
