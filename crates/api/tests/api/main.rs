//! The native HTTP interface over real sockets and a real database.

mod access;
mod bad_input;
mod beside;
mod conform;
mod dead;
mod declared;
mod document;
mod events;
mod fuzz;
mod health;
mod loops;
mod queues;
mod server;
mod times;
