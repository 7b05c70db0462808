//! Carries out plans on a database that is not ours. It knows steps, and nothing of what a plan is for.
//!
//! Not for: making plans, and for our own schema.
