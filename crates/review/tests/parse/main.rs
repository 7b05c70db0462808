//! What the parser makes of statements: each form, broken files, mutated ones, and large ones.

mod files;
mod forms;
mod show;
