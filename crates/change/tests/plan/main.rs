//! Rollout plans on the real PostgreSQL: made, proven on a scratch copy, and carried out.

mod proof;
mod scratch;
