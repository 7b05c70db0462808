//! Diagnoses a database, checks its data, and makes the plans that repair it.
//!
//! Not for: our own schema, and for carrying plans out (see `runner`).

pub mod archive;
mod checks;
pub mod doctor;
pub mod fix;
pub mod health_view;
pub mod incident;
pub mod integrity;
pub mod maintain;
mod template;
mod visiting;
