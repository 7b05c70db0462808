//! The native HTTP interface over real sockets and a real database.

mod bad_input;
mod events;
mod queues;
mod server;
