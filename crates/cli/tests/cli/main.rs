//! The built binary as people and scripts use it: what it prints, and with which exit code it ends.
//!
//! Not for: what the broker does underneath, which its own tests hold. One binary, so that it is linked once.

mod care;
mod catalog;
mod config;
mod database;
mod dead;
mod declare;
mod doctor;
mod embedded;
mod events;
mod live;
mod migrate;
mod migrations;
mod program;
mod review;
mod runs;
mod serve;
mod slow;
mod techshop;
