//! Diagnoses a database, checks its data, and makes the plans that repair it.
//!
//! Not for: our own schema, and for carrying plans out (see `runner`).

pub mod fix;
pub mod archive;
pub mod integrity;
mod template;
