//! How many connections a server of some size takes, and how many the application's pools may ask for.
//!
//! No server knows either: they come from a file (`--pools`). Not for: counting connections that are there.

use posthaste_base::{Code, Error};
use serde::Deserialize;

/// `[server]` and `[[pool]]` of the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declared {
    pub server: Server,
    #[serde(rename = "pool")]
    pub pools: Vec<Pool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Capacity units, where connections are sold by them: 0.5, 1, 2, 4, 8.
    pub capacity_units: Option<f64>,
    pub memory_bytes: Option<i64>,
    pub disk_bytes: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub name: String,
    /// Connections at most, in one process.
    pub max: i64,
    #[serde(default)]
    pub min: i64,
    /// Processes that each have one.
    #[serde(default = "one")]
    pub processes: i64,
    /// Its connections end at a pooler that shares so many of the server's.
    #[serde(default)]
    pub behind_pooler_of: Option<i64>,
}

fn one() -> i64 {
    1
}

impl Declared {
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let read: Result<Self, _> = toml::from_str(text);
        read.map_err(|error| Error::new(Code::InvalidFile, error.to_string()))
    }

    /// What all pools together may ask the server for.
    pub(crate) fn connections_max(&self) -> i64 {
        let asked = |pool: &Pool| {
            let all = pool.max.saturating_mul(pool.processes);
            pool.behind_pooler_of.map_or(all, |shared| all.min(shared))
        };
        self.pools.iter().map(asked).sum()
    }
}

/// Connections that a server of so many capacity units takes: 180 for each.
pub fn capacity_units(units: f64) -> i64 {
    (units * 180.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_goes_by_units() {
        let expected = [(0.5, 90), (1.0, 180), (2.0, 360), (4.0, 720), (8.0, 1_440)];
        for (units, connections) in expected {
            assert_eq!(capacity_units(units), connections);
        }
    }

    #[test]
    fn pools_add_up_and_a_pooler_caps_them() {
        let text = "[[pool]]\nname = \"worker\"\nmax = 10\nprocesses = 500\n\
                    [[pool]]\nname = \"web\"\nmax = 100\nprocesses = 10\nbehind_pooler_of = 25\n";
        assert_eq!(Declared::from_toml(text).unwrap().connections_max(), 5_025);
        assert_eq!(Declared::from_toml("[[pool]]\nname = 1").unwrap_err().code(), Code::InvalidFile);
    }
}
