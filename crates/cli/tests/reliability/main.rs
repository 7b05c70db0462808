//! Nothing that was accepted is lost, stuck, or delivered under two leases, whatever is killed, cut or late: the
//! real binary over a real PostgreSQL with fsync, and receivers that misbehave.
//!
//! Every test ends with [`site::Site::check_all_ended`], which is what the promise says. What is random prints its
//! seed and takes it back from `POSTHASTE_SEED`. Not for: one failure at a time (see the worker's own tests).

mod database;
mod network;
mod nodes;
mod receivers;
mod site;
mod traffic;
