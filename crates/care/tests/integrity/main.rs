//! Integrity against real servers: two broken databases, each with its faults as data, and each healthy first.

mod harbour;
mod limits;
mod promises;
mod rules;
mod score;
mod techshop;
