//! Plans that mend, carried out on real servers, and taken back to the byte.

mod batches;
mod bytes;
mod carry_out;
mod duplicates;
mod killed;
mod reindex;
mod sessions;
mod techshop;
