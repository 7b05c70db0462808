//! Rollout plans on the real PostgreSQL: made, proven on a scratch copy, and carried out.

mod again;
mod ground;
mod live;
mod proof;
mod scratch;
