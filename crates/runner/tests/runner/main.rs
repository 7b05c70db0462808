//! The runner on a real server: locks that others hold, keys of all kinds, kills at every point, and steering.

mod alone;
mod batches;
mod control;
mod crash;
mod document;
mod gates;
mod ground;
mod keys;
mod locks;
mod midway;
mod statements;
mod undo;
