//! Delivery to endpoints: what an endpoint's address may be, how a call is signed, and the client that makes it.
//! This is the only crate that sends HTTP to strangers.
//!
//! Not for: what happens with the answer (the engine's decisions), or where messages come from (the broker).

pub mod address;
mod answer;
mod classify;
pub mod client;
mod connect;
pub mod endpoint;
mod resolve;
pub mod sign;
pub mod webhook;

pub use address::{AddressPolicy, Network};
pub use answer::{Answer, TransportError, TransportKind};
pub use client::{Client, ClientOptions, Request};
pub use endpoint::Endpoint;
pub use sign::{SigningKey, generate_secret};
