//! The worker against a real database and real receivers: a broker, its keeper and its listener, as a node runs
//! them. Not for: the client by itself (see `client`), or processes that die (see the tests of the binary).

mod clocks;
mod delivery;
mod endings;
mod failures;
mod fairness;
mod functions;
mod guards;
mod modes;
mod post_office;
mod spans;
mod steps;
mod stopping;
mod test_call;
mod told;
