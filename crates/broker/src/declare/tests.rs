//! What a configuration file may say, and what is said about one that is wrong.
